"""Switches that tell a service over HTTP, against a small server of Python with a flag in it."""
import json

from refusals import changed, expect_words
from web_service import WebService
from whimbrel import World, main

SECRET = "a-token-of-somebody"


class Flag(WebService):
    """A flag that is put and got; `fails` holds what to do with the next requests instead of serving them."""

    def __init__(self):
        self.value, self.asked, self.fails = {"on": False, "note": "kept"}, [], []
        super().__init__(self.answer)

    def answer(self, handler, body):
        self.asked.append((handler.command, handler.path, handler.headers.get("Authorization")))
        failure = self.fails.pop(0) if self.fails and handler.command != "GET" else None
        if failure == "refuse":
            handler.say(403, {"error": "not allowed, " + SECRET})
            return
        if handler.command in ("PUT", "POST"):
            self.value.update(json.loads(body))
        if failure == "lose":
            handler.connection.close()
            return
        handler.say(200 if handler.command != "DELETE" else 204, self.value)


PUT = ("{http: '${API}/flags/new', put: {on: true}, headers: {Authorization: 'Bearer ${TOKEN}'}, "
       "undo: {put: {on: false}}, state: {expect: {json: {on: true}}}}")


class Both:
    def __init__(self, switch=PUT):
        self.flag, self.world = Flag(), World(rows=40)
        changed(self.world, "[{row: db/switches, key: {name: use_new}, set: {state: 1}, create: true}]", "[%s]" % switch)

    def run(self, *words, expect=0):
        code, out, err = self.world.run(*words, "--var", "API=" + self.flag.url, "--var", "TOKEN=" + SECRET, expect=expect)
        assert SECRET not in out + err, (out, err)
        return code, out, err

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for path in (self.world.folder / ".whimbrel").rglob("*"):
            assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
        self.flag.close()
        self.world.close()


def it_is_told_and_told_back():
    with Both() as both:
        _, out, _ = both.run("cutover", "--dry-run", expect=None)
        both.run("run", "--yes")
        assert both.flag.value == {"on": True, "note": "kept"}
        assert ("PUT", "/flags/new", "Bearer " + SECRET) in both.flag.asked
        both.run("run", "--yes")
        both.run("rollback", "--yes")
        assert both.flag.value == {"on": False, "note": "kept"}


def a_service_that_says_no_switches_nothing():
    with Both() as both:
        both.flag.fails = ["refuse"]
        _, _, err = both.run("run", "--yes", expect=None)
        expect_words(err, "answered 403", "the service refuses the request")
        assert both.flag.value["on"] is False
        both.run("run", "--yes")
        assert both.flag.value["on"] is True


def a_lost_answer_is_looked_after():
    with Both() as both:
        both.flag.fails = ["lose"]
        both.run("run", "--yes")
        assert both.flag.value["on"] is True
        both.flag.fails = ["lose"]
        both.run("rollback", "--yes")
        assert both.flag.value["on"] is False


def without_a_state_a_lost_answer_is_for_a_person():
    with Both(PUT.replace(", state: {expect: {json: {on: true}}}", "").replace("put:", "post:")) as both:
        both.flag.fails = ["lose"]
        _, _, err = both.run("run", "--yes", expect=1)
        assert both.flag.value["on"] is True
        _, out, _ = both.run("status")
        assert "stuck" in out, out
        both.run("cutover", "--yes", "--decide", "switched")
        both.run("rollback", "--yes", expect=None)


def mistakes_are_told():
    for wrong, words in (
            ("{http: '${API}', undo: {put: {a: 1}}}", "a request that only asks switches nothing"),
            ("{http: '${API}', put: {a: 1}}", "an http switch needs `undo:`"),
            ("{http: '${API}', put: {a: 1}, post: {a: 1}, undo: {put: {a: 1}}}", "one request has one method"),
            ("{http: 'x', put: {a: 1}, undo: {put: {a: 1}}}", "is no URL of a web service"),
            ("{http: '${API}', put: on, undo: {put: {a: 1}}}", "`put` is the JSON that is sent"),
            ("{http: '${API}', put: {a: 1}, undo: {http: '${API}/x'}}", "a request that only asks takes nothing back"),
            ("{http: '${API}', put: {a: 1}, undo: {put: {a: 0}}, state: {http: '${API}/x'}}", "`state` has to say what is answered"),
            ("{http: '${API}', put: {a: 1}, headers: {'a b': x}, undo: {put: {a: 0}}}", "`a b` is no header of a request"),
            ("{lambda_concurrency: f}", "reserved concurrency needs `set:`"),
            ("{lambda_concurrency: [f, f], set: 0}", "the function `f` is named twice"),
            ("{lambda_concurrency: f, set: -1}", "set"),
            ("{s3: 's3://bucket', set: x}", "`s3://bucket` names no object"),
            ("{s3: 's3://bucket/key'}", "a s3 switch needs `set:`")):
        with Both(wrong) as both:
            _, _, err = both.run("check", expect=2)
            expect_words(err, words)


if __name__ == "__main__":
    main(it_is_told_and_told_back, a_service_that_says_no_switches_nothing, a_lost_answer_is_looked_after,
         without_a_state_a_lost_answer_is_for_a_person, mistakes_are_told)
