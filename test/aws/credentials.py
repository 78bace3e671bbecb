"""As whom whimbrel asks: against what botocore finds in the same environment and the same files.

Runs under tools/servers/python, with WHIMBREL naming the binary; SEED and CASES say which environments
are made up, and how many.
"""
import os
import pathlib
import random
import shlex
import sys
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "test" / "support"), str(ROOT / "test" / "scenarios")]
from amazon import AMAZON, HERE, HOME, SECRET, SYSTEM, TOKEN, ask, cache_of, files, keys_of, log_in, session_of_botocore  # noqa: E402
from refusals import expect_words  # noqa: E402
from whimbrel import main  # noqa: E402

SEED = int(os.environ.get("SEED", "1"))
CASES = int(os.environ.get("CASES", "150"))


def expect_key(key, environment, query="", token=True):
    answer = ask({**HERE, **environment}, query)
    assert answer.key == key, "%s is not %s: %r" % (answer.key, key, answer)
    assert answer.asked[-1]["token"] == (TOKEN + (key if token is True else token) if token else ""), answer
    return answer


def expect_refusal(environment, query, *words):
    answer = ask({**HERE, **environment}, query)
    assert answer.key is None and answer.code in (2, 3), answer
    expect_words(answer.text, *words)
    return answer


def the_environment_comes_first():
    files(credentials="[default]\naws_access_key_id = file\naws_secret_access_key = %sf\n" % SECRET)
    expect_key("env", keys_of("env"), token=False)
    expect_key("env", {**keys_of("env"), "AWS_SESSION_TOKEN": TOKEN + "env"})
    expect_key("file", {}, token=False)
    expect_refusal({"AWS_ACCESS_KEY_ID": "half"}, "", "AWS_SECRET_ACCESS_KEY is not set")


def a_profile_has_keys_in_either_file():
    files("[default]\nregion=eu-west-1\n[profile a]\naws_access_key_id=a\naws_secret_access_key=%sa\n[profile 'two words']\nregion=eu-west-3\n"
          "[profile b]\naws_access_key_id=wrong\naws_secret_access_key=wrong\n" % SECRET,
          "[b]\naws_access_key_id = b\naws_secret_access_key = %sb\naws_session_token = %sb\n"
          "[two words]\naws_access_key_id=2\naws_secret_access_key=%s2\n" % (SECRET, TOKEN, SECRET))
    for name, token in (("a", False), ("b", True)):
        expect_key(name, {"AWS_PROFILE": name}, token=token)
        expect_key(name, {"AWS_DEFAULT_PROFILE": name}, token=token)
        expect_key(name, keys_of("env"), "profile=" + name, token=token)
    expect_key("2", {"AWS_PROFILE": "two words"}, token=False)
    (HOME / ".aws" / "credentials").rename(HOME / "elsewhere")
    expect_key("b", {"AWS_PROFILE": "b", "AWS_SHARED_CREDENTIALS_FILE": "~/elsewhere", "AWS_CONFIG_FILE": str(HOME / "nowhere")})
    expect_key("env", {**keys_of("env"), "AWS_PROFILE": "a"}, token=False)


def a_profile_that_is_not_there_is_told():
    files("[profile staging]\nregion=eu-west-1\n")
    for environment, query in (({"AWS_PROFILE": "stagin"}, ""), ({}, "profile=stagin"), ({**keys_of("env"), "AWS_PROFILE": "stagin"}, "")):
        expect_refusal(environment, query, "there is no AWS profile `stagin`", "did you mean `staging`?")
    expect_refusal({}, "profile=staging", "the profile `staging` names none")


def half_a_key_in_a_file_is_told():
    files("[profile half]\naws_access_key_id = half\n[profile other]\naws_secret_access_key = %s\n"
          "[profile role]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = half\n" % SECRET)
    for profile in ("half", "role"):
        expect_refusal({"AWS_PROFILE": profile}, "", "half", "aws_secret_access_key")
    expect_refusal({"AWS_PROFILE": "other"}, "", "other", "aws_access_key_id")


def roles_are_taken_one_after_the_other():
    files("[profile one]\nrole_arn = arn:aws:iam::1:role/one\nsource_profile = two\nexternal_id = ext\nduration_seconds = 1800\nrole_session_name = me\n"
          "[profile two]\nrole_arn = arn:aws:iam::1:role/two\nsource_profile = three\n"
          "[profile env]\nrole_arn = arn:aws:iam::1:role/env\ncredential_source = Environment\n"
          "[profile machine]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = Ec2InstanceMetadata\n"
          "[profile container]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = EcsContainer\n"
          "[profile self]\nrole_arn = arn:aws:iam::1:role/self\nsource_profile = self\naws_access_key_id = own\naws_secret_access_key = %so\n"
          "[profile by-self]\nrole_arn = arn:aws:iam::1:role/by\nsource_profile = self\n"
          "[profile forbidden]\nrole_arn = arn:aws:iam::1:role/forbidden\nsource_profile = three\n"
          "[profile mfa]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = three\nmfa_serial = arn:aws:iam::1:mfa/me\n"
          "[profile alone]\nrole_arn = arn:aws:iam::1:role/r\naws_access_key_id = own\naws_secret_access_key = %so\n"
          "[profile round]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = about\naws_access_key_id = own\naws_secret_access_key = %so\n"
          "[profile about]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = round\n"
          "[profile itself]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = itself\n"
          "[profile lost]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = nowhere\n" % (SECRET, SECRET, SECRET),
          "[three]\naws_access_key_id = three\naws_secret_access_key = %s3\n" % SECRET)
    expect_key("one.ext.1800.of.two.of.three", {"AWS_PROFILE": "one"})
    assert [(one["RoleSessionName"], one["by"]) for one in AMAZON.sts] == [("whimbrel", "three"), ("me", "two.of.three")], AMAZON.sts
    expect_key("env.of.key", keys_of("key"), "profile=env")
    machine = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": AMAZON.url, "AWS_EC2_METADATA_DISABLED": "false"}
    expect_key("r.of.machine", machine, "profile=machine")
    expect_key("r.of.container.", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": AMAZON.url + "/container"}, "profile=container")
    expect_key("self.of.own", {"AWS_PROFILE": "self"})
    expect_key("by.of.own", {"AWS_PROFILE": "by-self"})
    expect_key("r2.of.two.of.three", {}, "profile=two&role_arn=arn:aws:iam::1:role/r2")
    expect_key("r2.of.env", keys_of("env"), "role_arn=arn:aws:iam::1:role/r2")
    expect_refusal({}, "profile=forbidden", "STS")
    expect_refusal({}, "profile=mfa", "mfa_serial")
    expect_refusal({}, "profile=alone", "alone", "source_profile", "credential_source")
    for profile in ("round", "itself"):
        expect_refusal({}, "profile=" + profile, "leads to itself")
    expect_key("a.of.own", {}, "profile=about")
    expect_refusal({}, "profile=lost", "the source_profile `nowhere` of the AWS profile `lost`")
    expect_refusal({}, "profile=env", "credential_source `Environment`")


def a_process_is_asked():
    script = "sh %s/process.sh x" % HOME
    files("[profile p]\ncredential_process = %s\n[profile fails]\ncredential_process = sh %s/fails.sh\n[profile odd]\ncredential_process = echo no JSON\n"
          "[profile role]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=p\n[profile missing]\ncredential_process = /nowhere/at/all\n" % (script, HOME),
          **{"fails.sh": "echo '{\"SecretAccessKey\": \"%sx\"'\necho first >&2\necho 'Your login has ended: run `login-tool`' >&2\nexit 7\n" % SECRET})
    expect_key("process.x", {"AWS_PROFILE": "p"}, token="p")
    expect_key("r.of.process.x", {"AWS_PROFILE": "role"})
    expect_refusal({}, "profile=fails", "credential_process", "`fails`", "exit code 7", "Your login has ended: run `login-tool`")
    expect_refusal({}, "profile=odd", "gave no credentials")
    expect_refusal({}, "profile=missing", "exit code 127")


def the_login_of_sso_is_used():
    files("[sso-session s]\nsso_start_url=https://example.awsapps.com/start\nsso_region=eu-west-1\n"
          "[profile new]\nsso_session=s\nsso_account_id=1\nsso_role_name=R\n"
          "[profile old]\nsso_start_url=https://example.awsapps.com/start#\nsso_region=eu-west-1\nsso_account_id=2\nsso_role_name=Q\n"
          "[profile role]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=new\n[profile none]\nsso_session=nobody\nsso_account_id=1\nsso_role_name=R\n")
    for name in ("new", "old"):
        expect_refusal({"AWS_PROFILE": name}, "", "`%s`" % name, "aws sso login --profile " + name)
    expect_refusal({}, "profile=none", "sso_session `nobody`")
    log_in("s")
    log_in("https://example.awsapps.com/start#", form="%Y-%m-%dT%H:%M:%SUTC")
    expect_key("sso-1-R", {"AWS_PROFILE": "new"})
    expect_key("sso-2-Q", {}, "profile=old")
    expect_key("r.of.sso-1-R", {"AWS_PROFILE": "role"})
    for ends, zone in ((3600, "-03:00"), (60, "Z"), (3600, "+03:00")):
        log_in("s", seconds=ends + {"-": -3, "+": 3}.get(zone[0], 0) * 3600, form="%Y-%m-%dT%H:%M:%S" + zone)
        expect_key("sso-1-R", {"AWS_PROFILE": "new"})
    log_in("s", seconds=-60)
    expect_refusal({}, "profile=new", "has expired", "aws sso login --profile new")
    log_in("s", token=TOKEN + "taken back")
    expect_refusal({}, "profile=new", "aws sso login --profile new")
    cache_of("s").write_text('{"accessToken": null, "expiresAt": 7}')
    expect_refusal({}, "profile=new", "aws sso login --profile new")


def web_identity_is_taken():
    files("[profile w]\nrole_arn=arn:aws:iam::1:role/w\nweb_identity_token_file=%s/web\n"
          "[profile x]\nrole_arn=arn:aws:iam::1:role/x\nsource_profile=w\n" % HOME)
    environment = {"AWS_WEB_IDENTITY_TOKEN_FILE": "%s/web" % HOME, "AWS_ROLE_ARN": "arn:aws:iam::1:role/pod"}
    expect_key("pod.of.web.w", {**environment, "AWS_ROLE_SESSION_NAME": "session"})
    assert AMAZON.sts[0]["RoleSessionName"] == "session" and AMAZON.sts[0]["by"] == "", AMAZON.sts
    expect_key("env", {**environment, **keys_of("env")}, token=False)
    (HOME / "web").write_text(TOKEN + "w\n")
    expect_key("w.of.web.w", {"AWS_PROFILE": "w"})
    expect_key("x.of.w.of.web.w", environment, "profile=x")
    expect_refusal({**environment, "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere"}, "", "AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere")


def a_container_is_asked():
    files(token=TOKEN + "file\n")
    environment = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": AMAZON.url + "/container"}
    expect_key("container.", environment)
    environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = TOKEN + "word"
    expect_key("container.word", environment)
    expect_key("container.file", {**environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "%s/token" % HOME})
    expect_refusal({**environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nowhere"}, "", "/nowhere")
    answer = ask({**HERE, "AWS_CONTAINER_CREDENTIALS_FULL_URI": AMAZON.url + "/else"})
    assert answer.key is None and "status 404" in answer.text, answer


def a_machine_is_asked():
    files()
    environment = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": AMAZON.url + "/", "AWS_EC2_METADATA_DISABLED": ""}
    expect_key("machine", environment)
    assert [one[:2] for one in AMAZON.others][:2] == [("PUT", "/latest/api/token"), ("GET", "/latest/meta-data/iam/security-credentials/")], AMAZON.others
    for word in ("true", "TRUE"):
        expect_refusal({**environment, "AWS_EC2_METADATA_DISABLED": word}, "", "there are no credentials", "AWS_ACCESS_KEY_ID", "machine")
        assert not AMAZON.others
    expect_key("container.", {**environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI": AMAZON.url + "/container"})


class Generator:
    PROFILES = ["default", "a", "b", "c", "two words"]

    def __init__(self, seed):
        self.random = random.Random(seed)

    def section(self, name):
        """Lines for config and for credentials."""
        pick = self.random.choice
        keys = "aws_access_key_id = key.%s\naws_secret_access_key = %sk\n" % (name.replace(" ", "-"), SECRET)
        role = "role_arn = arn:aws:iam::1:role/%s\n" % name.replace(" ", "-")
        source = "source_profile = %s\n" % pick(self.PROFILES + ["nowhere"])
        other = "credential_source = %s\n" % pick(["Environment", "Ec2InstanceMetadata", "EcsContainer", "Nobody"])
        process = "credential_process = sh %s/process.sh %s\n" % (HOME, pick("xyz"))
        sso = pick(["sso_session = s\n", "sso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\n"])
        sso += "sso_account_id = 1\nsso_role_name = R\n"
        web = "web_identity_token_file = %s/web\n" % HOME
        config, credentials = pick([
            (keys, ""), ("", keys), ("", keys), (role + source, ""), (role + source, ""), (role + source, keys), (role + other, ""), (role + web, ""),
            (process, ""), (process, keys), (sso, ""), (sso, keys), ("region = eu-west-1\n", ""), ("", ""), (role, keys),
            (role + source + process, ""), (role + web + source, ""), (role + sso, "")])
        return config + (pick(["", "", "external_id = ext\n"]) if role in config else ""), credentials

    def case(self):
        config, credentials = "[sso-session s]\nsso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\n", ""
        names = self.random.sample(self.PROFILES, self.random.randint(2, 5))
        for name in names:
            more, secrets = self.section(name)
            if more or self.random.random() < 0.3:
                config += "[%s]\n%s" % ("default" if name == "default" else "profile " + (shlex.quote(name)), more)
            if secrets:
                credentials += "[%s]\n%s" % (name, secrets)
        environment = dict(HERE)

        def maybe(chance, more):
            if self.random.random() < chance:
                environment.update(more)
        maybe(0.25, {**keys_of("env"), **self.random.choice([{}, {"AWS_SESSION_TOKEN": TOKEN + "env"}])})
        # "default" need not be there.
        maybe(0.6, {"AWS_PROFILE": self.random.choice([name for name in names * 4 if name != "default"] + self.PROFILES[1:] + ["nobody"])})
        maybe(0.2, {"AWS_WEB_IDENTITY_TOKEN_FILE": "%s/web" % HOME, "AWS_ROLE_ARN": "arn:aws:iam::1:role/pod"})
        maybe(0.3, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": AMAZON.url + "/container"})
        maybe(0.3, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": AMAZON.url + "/", "AWS_EC2_METADATA_DISABLED": "false"})
        return config, credentials, environment, self.random.choice([None] * 6 + names + [self.random.choice(self.PROFILES)])


def by_botocore(environment, profile=None):
    """Access key and token that botocore signs with, in this environment; None and why where it has none."""
    with mock.patch.dict(os.environ, {**SYSTEM, "AWS_ENDPOINT_URL": AMAZON.url, **environment}, clear=True):
        try:
            credentials = session_of_botocore(environment, profile).get_credentials()
            if credentials is None:
                return None, "none"
            frozen = credentials.get_frozen_credentials()
            return frozen.access_key, frozen.token or ""
        except Exception as failure:  # any of its own: it has none
            return None, str(failure)


def is_meant(profile, theirs, answer):
    """Where a store names its profile, nobody else is asked: a side of a migration is not to be someone by accident."""
    of_the_place = (theirs or "").split(".")[0] in ("container", "machine")
    return profile and of_the_place and answer.key is None and "the profile `%s` names none" % profile in answer.text


def whoever_botocore_would_be_whimbrel_is():
    generator, wrong, found = Generator(SEED), [], {}
    for number in range(CASES):
        config, credentials, environment, profile = generator.case()
        files(config, credentials)
        log_in("s")
        log_in("https://example.awsapps.com/start")
        theirs, token = by_botocore(environment, profile)
        answer = ask(environment, "profile=" + profile if profile else "")
        found[theirs] = found.get(theirs, 0) + 1
        alike = answer.key == theirs and (theirs is None or token == answer.asked[-1]["token"])
        if alike or is_meant(profile, theirs, answer):
            continue
        told = {name: value for name, value in environment.items() if name not in HERE or name.endswith("DISABLED")}
        wrong.append("case %d, profile %s: botocore is %s (%s)\nwhimbrel is %s: %s\n%s\n%s---\n%s" % (
            number, profile, theirs, token, answer.key, answer.text, told, config, credentials))
    assert not wrong, "%d of %d\n%s" % (len(wrong), CASES, "\n\n".join(wrong[:int(os.environ.get("SHOWN", "3"))]))
    assert len(found) > CASES / 10 and found[None] < CASES * 0.6, found


if __name__ == "__main__":
    main(the_environment_comes_first, a_profile_has_keys_in_either_file, a_profile_that_is_not_there_is_told, half_a_key_in_a_file_is_told,
         roles_are_taken_one_after_the_other, a_process_is_asked, the_login_of_sso_is_used, web_identity_is_taken, a_container_is_asked,
         a_machine_is_asked, whoever_botocore_would_be_whimbrel_is)
