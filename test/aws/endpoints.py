"""Where whimbrel asks: region, endpoints, certificates and proxies, against botocore where it has a say.

Runs under tools/servers/python, with WHIMBREL naming the binary.
"""
import os
import pathlib
import subprocess
import sys
import time
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "test" / "support"), str(ROOT / "test" / "scenarios")]
from amazon import AMAZON, BINARY, HERE, HOME, SECRET, SYSTEM, Amazon, Proxy, ask, files, keys_of, session_of_botocore  # noqa: E402
from refusals import expect_words  # noqa: E402
from whimbrel import main  # noqa: E402


def the_region_is_found():
    files("[default]\nregion = eu-south-1\n[profile p]\nregion = eu-central-1\n")
    base = {**keys_of("env"), "AWS_EC2_METADATA_DISABLED": "true"}
    for environment, query, region, expected in (
            ({}, "", "", "eu-south-1"), ({"AWS_PROFILE": "p"}, "", "", "eu-central-1"),
            ({"AWS_PROFILE": "p", "AWS_DEFAULT_REGION": "us-east-2"}, "", "", "us-east-2"),
            ({"AWS_DEFAULT_REGION": "us-east-2", "AWS_REGION": "us-west-2"}, "", "", "us-west-2"),
            ({"AWS_REGION": "us-west-2"}, "", "eu-west-3", "eu-west-3")):
        answer = ask({**base, **environment}, query, region)
        assert answer.asked[-1]["region"] == expected, (environment, answer)
        if not region and "AWS_REGION" not in environment:
            with mock.patch.dict(os.environ, {**SYSTEM, **environment}, clear=True):
                assert session_of_botocore(environment, None).get_config_variable("region") == expected
    files()
    answer = ask(base, local=False)
    assert answer.code == 2 and "no region" in answer.text and "AWS_REGION" in answer.text, answer


def the_endpoint_is_botocores():
    """Every combination of the places that name one, and of the two that forbid it."""
    names = {"env-service": {"AWS_ENDPOINT_URL_DYNAMODB": AMAZON.url + "/env-service"}, "env-all": {"AWS_ENDPOINT_URL": AMAZON.url + "/env-all/"}}
    count = 0
    for bits in range(64):
        environment = {**HERE, **keys_of("env"), "AWS_PROFILE": "p"}
        for bit, more in enumerate(names.values()):
            environment.update(more if bits >> bit & 1 else {})
        config = "[profile p]\n" + ("endpoint_url = %s/config-all\n" % AMAZON.url if bits & 4 else "") + ("services = mine\n" if bits & 8 else "")
        config += "ignore_configured_endpoint_urls = true\n" if bits & 16 else ""
        environment.update({"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "True"} if bits & 32 else {})
        files(config + "[services mine]\nsts =\n  endpoint_url = http://wrong\ndynamodb = \n  endpoint_url = %s/config-service\n" % AMAZON.url)
        with mock.patch.dict(os.environ, {**SYSTEM, **environment}, clear=True):
            theirs = session_of_botocore(environment, None).create_client("dynamodb").meta.endpoint_url
        if theirs.startswith(AMAZON.url):
            answer = ask(environment, local=False)
            asked = [one["path"] for one in answer.asked]
            assert asked == [theirs.rstrip("/").rpartition("/")[2]], "%s: botocore goes to %s\n%r" % (environment, theirs, answer)
            count += 1
        elif bits in (0, 16 + 15, 32 + 15):  # the others are the same, and take their time
            assert asked_by_a_proxy(environment) == ["dynamodb.eu-west-1.amazonaws.com:443"], (environment, theirs)
            count += 1
    assert count == 18, count
    files("[profile p]\nservices = mine\n[services mine]\ndynamodb =\n  endpoint_url = http://wrong\n")
    answer = ask({**HERE, **keys_of("env"), "AWS_PROFILE": "p"}, "endpoint=%s/of-the-store" % AMAZON.url)
    assert answer.asked[-1]["path"] == "of-the-store", answer


def asked_by_a_proxy(environment):
    """Where whimbrel goes by a proxy that refuses: the first attempt tells it."""
    proxy = Proxy()
    process = subprocess.Popen([BINARY, "init", "dynamodb:"], env={**SYSTEM, **environment, "HTTPS_PROXY": proxy.url}, cwd=HOME, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with process:
        for _ in range(500):
            if proxy.asked or process.poll() is not None:
                break
            time.sleep(0.01)
        process.kill()
    proxy.listener.close()
    return proxy.asked[:1]


def certificate(names):
    """Signed by itself: the file to trust, and the one with the key."""
    key, text = HOME / "key.pem", HOME / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-keyout", key, "-out", text, "-addext", "subjectAltName=" + names], check=True, capture_output=True)
    (HOME / "both.pem").write_text(key.read_text() + text.read_text())
    return text, HOME / "both.pem"


def a_certificate_of_ones_own_is_trusted_where_it_is_named():
    files("[profile p]\nregion = eu-west-1\nca_bundle = %s/certificate.pem\n" % HOME)
    trusted, both = certificate("IP:127.0.0.1,DNS:somewhere.test")
    server = Amazon(both)
    environment = {**HERE, **keys_of("env"), "AWS_ENDPOINT_URL": server.url}
    answer = ask(environment)
    assert not server.take() and answer.code != 0, answer
    expect_words(answer.text, "AWS_CA_BUNDLE")
    for more in ({"AWS_CA_BUNDLE": str(trusted)}, {"AWS_PROFILE": "p"}):
        answer = ask({**environment, **more})
        assert [one["key"] for one in server.take()] == ["env"], answer
    answer = ask({**environment, "AWS_CA_BUNDLE": "/nowhere"})
    assert not server.take() and answer.code != 0, answer
    server.close()


def a_password_in_an_endpoint_is_not_told():
    files()
    answer = ask({**HERE, **keys_of("env"), "AWS_ENDPOINT_URL": "http://user:%spassword@127.0.0.1:1" % SECRET})
    assert "http://127.0.0.1:1 did not answer" in answer.text, answer
    answer = ask({**HERE, **keys_of("env"), "AWS_ENDPOINT_URL": AMAZON.url.replace("//", "//user:%spassword@" % SECRET)})
    assert [(one["key"], one["host"]) for one in answer.asked] == [("env", AMAZON.url[7:])], answer


def a_proxy_is_used_and_left_out():
    files()
    trusted, both = certificate("IP:127.0.0.1,DNS:somewhere.test")
    server = Amazon(both)
    proxy = Proxy(server.port)
    environment = {**HERE, **keys_of("env"), "AWS_CA_BUNDLE": str(trusted), "AWS_ENDPOINT_URL": "https://somewhere.test:8443"}
    for name in ("HTTPS_PROXY", "https_proxy"):
        answer = ask({**environment, name: proxy.url.replace("//", "//user:%spassword@" % SECRET)})
        assert [one["host"] for one in server.take()] == ["somewhere.test:8443"], answer
        assert proxy.asked == ["somewhere.test:8443"], proxy.asked
        proxy.asked.clear()
    answer = ask({**environment, "AWS_ENDPOINT_URL": server.url, "HTTPS_PROXY": proxy.url, "NO_PROXY": "localhost,127.0.0.1"})
    assert len(server.take()) == 1 and not proxy.asked, answer
    refusing = Proxy()
    answer = ask({**environment, "HTTPS_PROXY": refusing.url.replace("//", "//user:%spassword@" % SECRET)})
    assert answer.code != 0 and "somewhere.test:8443 did not answer" in answer.text, answer
    server.close()


if __name__ == "__main__":
    main(the_region_is_found, the_endpoint_is_botocores, a_certificate_of_ones_own_is_trusted_where_it_is_named,
         a_password_in_an_endpoint_is_not_told, a_proxy_is_used_and_left_out)
