"""A table made by `create: like-source` gets what concerns no row as well: tags, recovery, protection, class, time to live.

What its service does not offer, or nobody may read, is told. Runs under tools/servers/python, with WHIMBREL naming the binary.
"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from dynamodb_folder import BINARY, DynamoFolder  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from own_backups import OwnBackups  # noqa: E402
from servers import dynamodb_local, moto  # noqa: E402
from trying import run_each  # noqa: E402

PLAN = """whimbrel: 1
migration: likes
stores: {old: "dynamodb:%s", new: "dynamodb:%s"}
tables: [{from: old/Things, to: new/Others, create: like-source}]
sync: none
cutover: {hold: [{env_file: app.env, set: {READ_ONLY: "yes"}}], window: {max: 10m}}
"""
TAGS = [{"Key": "team", "Value": "birds & co"}, {"Key": "cost", "Value": ""}]


class World(DynamoFolder):
    def __init__(self, server, source="", target=""):
        super().__init__(server, PLAN % (source, target))
        (self.folder / "app.env").write_text("READ_ONLY=no\\n")
        self.ddb.create_table(TableName="Things", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                              AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
                              Tags=TAGS, DeletionProtectionEnabled=True, TableClass="STANDARD_INFREQUENT_ACCESS")
        self.ddb.update_time_to_live(TableName="Things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ends"})
        self.ddb.put_item(TableName="Things", Item={"id": {"S": "1"}})

    def keep_points(self):
        self.ddb.update_continuous_backups(TableName="Things", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})

    def restore(self):
        done = subprocess.run([BINARY, "restore", "file:backup/old", "dynamodb:", "--yes"], cwd=self.folder, env=self.environment,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def __exit__(self, *exception):
        for table in self.ddb.list_tables()["TableNames"]:
            self.ddb.update_table(TableName=table, DeletionProtectionEnabled=False)
        super().__exit__(*exception)


def about(ddb, table):
    described = ddb.describe_table(TableName=table)["Table"]
    points = ddb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    return {"tags": sorted((tag["Key"], tag["Value"]) for tag in ddb.list_tags_of_resource(ResourceArn=described["TableArn"])["Tags"]),
            "points": points["PointInTimeRecoveryStatus"], "protected": described["DeletionProtectionEnabled"],
            "class": described.get("TableClassSummary", {}).get("TableClass"),
            "ends": ddb.describe_time_to_live(TableName=table)["TimeToLiveDescription"].get("AttributeName")}


def everything_is_carried_over_and_brought_back_by_a_restore(moto_server, _):
    with World(moto_server) as world:
        world.keep_points()
        world.run("analyze")
        told = world.run("run", "--yes")
        assert "not wholly like" not in told, told
        model = about(world.ddb, "Things")
        assert about(world.ddb, "Others") == model and model["points"] == "ENABLED" and len(model["tags"]) == 2, about(world.ddb, "Others")
        assert "of old are in file:backup/old" in world.run("backup", "file:backup", "--yes")
        world.ddb.update_table(TableName="Things", DeletionProtectionEnabled=False)
        world.ddb.delete_table(TableName="Things")
        world.restore()
        assert about(world.ddb, "Things") == model, about(world.ddb, "Things")


def a_table_that_is_there_is_compared(moto_server, _):
    with World(moto_server) as world:
        world.make("Others")
        told = world.run("analyze")
        for what in ("it has no tag team=birds & co", "time to live is not on", "it is not protected against deletion"):
            assert "Others: " + what in told, (what, told)
        assert "  table new/Others" not in told, told
        assert "point-in-time" not in told, told  # the model has none


def what_the_service_of_the_target_has_not_got_is_told(moto_server, local):
    with World(moto_server, target="?endpoint=http://127.0.0.1:%d" % local.port) as world:
        world.keep_points()
        told = world.run("run", "--yes")
        for what in ("point-in-time recovery is not on", "it has no tag team=birds & co"):
            assert "Things is not wholly like its model: " + what in told, (what, told)
        assert "time to live" not in told and "deletion" not in told, told
        ours = local.client("dynamodb")
        assert ours.describe_time_to_live(TableName="Others")["TimeToLiveDescription"]["AttributeName"] == "ends"
        ours.update_table(TableName="Others", DeletionProtectionEnabled=False)
        ours.delete_table(TableName="Others")


def what_may_not_be_read_is_told(moto_server, _):
    denied = {"access_denied": {"rate": 1, "ops": ["ListTagsOfResource", "DescribeContinuousBackups"]}}
    with FaultProxy(moto_server.url, faults=denied) as proxy, World(moto_server, source="?endpoint=" + proxy.url) as world:
        told = world.run("analyze")
        for what in ("the tags of the source could not be read, and are not carried over",
                     "the point-in-time recovery of the source could not be read, and is not carried over"):
            assert "Others: " + what in told, (what, told)
        world.run("run", "--yes")
        assert about(world.ddb, "Others")["tags"] == []


def a_table_comes_back_from_a_backup_of_the_service(_, local):
    """With its time to live, which the service itself does not restore, and with what was written since."""
    with OwnBackups(local) as server, World(server) as world:
        with (world.folder / "plan.yaml").open("a") as plan:
            plan.write('backup: {of: [source], to: ["native:first-{table}-{date}"]}\n'
                       'finish: {after: 0s, keep_source: false, backup: ["native:final-{table}-{date}"]}\n')
        world.run("run", "--yes")
        world.ddb.update_table(TableName="Things", DeletionProtectionEnabled=False)
        world.run("finish", "--yes")
        assert world.ddb.list_tables()["TableNames"] == ["Others"]
        assert sorted(one["details"]["BackupName"].split("-")[0] for one in server.backups.values()) == ["final", "first"]
        world.ddb.put_item(TableName="Others", Item={"id": {"S": "since"}})
        world.run("rollback", "--yes")
        assert world.ddb.list_tables()["TableNames"] == ["Things"]
        assert set(world.items("Things", "id")) == {"1", "since"}, world.items("Things", "id")
        assert world.ddb.describe_time_to_live(TableName="Things")["TimeToLiveDescription"]["AttributeName"] == "ends"


TESTS = (a_table_comes_back_from_a_backup_of_the_service, everything_is_carried_over_and_brought_back_by_a_restore, a_table_that_is_there_is_compared,
         what_the_service_of_the_target_has_not_got_is_told, what_may_not_be_read_is_told)


if __name__ == "__main__":
    with moto() as mocked, dynamodb_local() as local:
        run_each(TESTS, lambda test: test(mocked, local))
