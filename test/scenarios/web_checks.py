"""Checks that ask a service over HTTP, against a small server of Python: before, held and after the switch."""
import json

from refusals import changed, expect_words
from web_service import WebService
from whimbrel import World, main

SECRET = "s3cret-enough"


class Service(WebService):
    """Answers each path with what `answers` says, a status and a document; notes who asked for what."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        super().__init__(self.answer)

    def answer(self, handler, body):
        self.asked.append((handler.command, handler.path, json.loads(body) if body else None))
        answers = self.answers.get(handler.path, [(404, {"no": "such path " + handler.path})])
        handler.say(*(answers[0] if len(answers) == 1 else answers.pop(0)))


def world_with(checks, sync="dual"):
    world = World(rows=30, sync=sync)
    changed(world, "finish:", "checks:\n" + "".join("  - %s\n" % check for check in checks) + "finish:")
    return world


def variables(service):
    return ["--var", "API=" + service.url, "--var", "KEY=" + SECRET]


def asked_at_every_moment_and_a_late_one_is_waited_for():
    service = Service()
    service.answers = {"/before": [(200, {})], "/held": [(503, {}), (503, {}), (201, {"status": "maintenance", "x": 1})],
                       "/after?key=" + SECRET: [(200, {"data": {"health": {"status": "healthy", "since": 7}}})]}
    world = world_with([
        "{at: before, http: '${API}/before'}",
        "{at: held, http: '${API}/held', expect: {json: {status: maintenance}}}",
        "{at: after, http: '${API}/after?key=${KEY}', post: {query: '{ health }'}, "
        "expect: {status: 200, json: {data: {health: {status: healthy}}}}}"])
    world.run("run", "--yes", *variables(service))
    paths = [path for _, path, _ in service.asked]
    assert paths[0] == "/before" and paths[1:4] == ["/held"] * 3, paths
    assert service.asked[-1] == ("POST", "/after?key=" + SECRET, {"query": "{ health }"}), service.asked[-1]
    world.compare()
    for file in world.folder.glob(".whimbrel/scenario/*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes(), file
    world.close()
    service.close()


def a_wrong_answer_goes_back_and_is_told_without_the_secret():
    service = Service()
    service.answers = {"/after?key=" + SECRET: [(200, {"data": {"status": "sick", "of": SECRET}})]}
    world = world_with(["{at: after, http: '${API}/after?key=${KEY}', within: 300ms, expect: {json: {data: {status: healthy}}}}"])
    schema = world.schema()
    _, out, err = world.run("run", "--yes", *variables(service), expect=1)
    expect_words(err, "the plan's check `GET ${API}/after?key=${KEY}` failed", "`/data/status` is \"sick\"",
                 "\"healthy\" is expected")
    assert SECRET not in out + err, err
    assert len(service.asked) > 1, service.asked
    assert world.schema() == schema, "not rolled back"
    for file in world.folder.glob(".whimbrel/scenario/*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes(), file
    world.close()
    service.close()


def nobody_answers_before_and_nothing_is_changed():
    world = world_with(["{at: before, http: 'http://127.0.0.1:1/health', within: 200ms}"])
    schema = world.schema()
    _, _, err = world.run("run", "--yes", expect=1)
    expect_words(err, "`GET http://127.0.0.1:1/health` failed: it did not answer")
    assert world.schema() == schema
    world.close()


def mistakes_are_told_with_their_place():
    world = world_with(["{http: 'ftp://x/y'}", "{http: 'https://x/y', expect: 7}", "{http: 'https://x', post: text}",
                        "{http: 'https://x', expect: {status: 999}}", "{http: 'https://x', expect: {body: 1}}",
                        "{http: 'https://x', below: 3}", "{sql: SELECT 1, expect: 1, post: {a: 1}}",
                        "{http: 'https://x', command: [true]}", "{sql: SELECT 1, expect: 1, within: 1s}"])
    _, _, err = world.run("check", expect=2)
    expect_words(err, "`ftp://x/y` is no URL of a web service", "what an http check expects is a map",
                 "`post` is the JSON that is sent", "no answer has the status 999", "`expect` has no key `body`",
                 "`below` belongs to `sql` and `metric`", "`post` belongs to `http`", "a check is one of",
                 "`within` belongs to `new_rows`")
    world.close()


def what_a_header_holds_is_told_to_nobody():
    service = Service()
    service.answers = {"/after": [(401, {"no": "such token " + SECRET})]}
    world = world_with(["{at: after, http: '${API}/after', headers: {Authorization: 'Bearer ${KEY}'}, within: 300ms}"])
    _, out, err = world.run("run", "--yes", *variables(service), expect=None)
    assert "such token" in err and SECRET not in out + err, err
    for file in (world.folder / ".whimbrel").rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes(), file
    world.close()
    service.close()


if __name__ == "__main__":
    main(asked_at_every_moment_and_a_late_one_is_waited_for, a_wrong_answer_goes_back_and_is_told_without_the_secret,
         nobody_answers_before_and_nothing_is_changed, mistakes_are_told_with_their_place,
         what_a_header_holds_is_told_to_nobody)
