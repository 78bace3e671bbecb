#include "aws/signer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/text.h"

namespace whimbrel::aws {
namespace {

// The credentials and the moment of AWS's own test suite for Signature Version 4.
const Credentials credentials{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", {}};
const TimePoint moment{Milliseconds(1440938160000)};  // 2015-08-30T12:36:00Z

std::string signature_of(HttpRequest request, SigningRules rules = {},
                         const Credentials& whose = credentials) {
  Signer signer("us-east-1", "service", rules);
  signer.sign(request, whose, moment);
  const std::string header = request.headers.back().second;
  return header.substr(header.rfind('=') + 1);
}

HttpRequest get(const std::string& rest) {
  return {"GET", "https://example.amazonaws.com" + rest, {}, "", Milliseconds(1000)};
}

struct Vector {
  std::string name;
  std::string line;  // method and target
  std::string signature;
  Headers headers = {};
  std::string body = "";
  std::string session_token = "";
};

// All of https://github.com/awslabs/aws-c-auth/tree/v0.3.15/tests/aws-sig-v4-test-suite, as
// botocore tests itself with it, but for those that ask the same again.
std::vector<Vector> published_vectors() {
  const std::string plain = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const std::string token_1 = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
  const std::string token_2 =
      "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwA"
      "eMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8p"
      "hUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT"
      "38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabI"
      "Qwj2ICCR/oLxBA==";
  return {
      {"get-header-key-duplicate",
       "GET /",
       "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
       {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}},
      {"get-header-value-multiline",
       "GET /",
       "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd",
       {{"My-Header1", "value1\n  value2\n     value3"}}},
      {"get-header-value-order",
       "GET /",
       "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
       {{"My-Header1", "value4"},
        {"My-Header1", "value1"},
        {"My-Header1", "value3"},
        {"My-Header1", "value2"}}},
      {"get-header-value-trim",
       "GET /",
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
       {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}},
      {"get-unreserved", "GET /" + plain,
       "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
      {"get-utf8", "GET /ሴ", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
      {"get-vanilla", "GET /", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-vanilla-empty-query-key", "GET /?Param1=value1",
       "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
      {"get-vanilla-query-order-encoded", "GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
       "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
      {"get-vanilla-query-order-key", "GET /?Param1=value2&Param1=Value1",
       "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
      {"get-vanilla-query-order-key-case", "GET /?Param2=value2&Param1=value1",
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"get-vanilla-query-order-value", "GET /?Param1=value2&Param1=value1",
       "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
      {"get-vanilla-query-unreserved", "GET /?" + plain + "=" + plain,
       "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
      {"get-vanilla-utf8-query", "GET /?ሴ=bar",
       "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
      {"get-vanilla-with-session-token",
       "GET /",
       "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
       {},
       "",
       token_1},
      {"get-relative", "GET /example/..",
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-relative-relative", "GET /example1/example2/../..",
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-slash", "GET //", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-slash-dot-slash", "GET /./",
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-slash-pointless-dot", "GET /./example",
       "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
      {"get-slashes", "GET //example//",
       "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
      {"get-space", "GET /example space/",
       "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
      {"get-special-character", "GET /example/$delete",
       "a853c9b21b528b19643d00910d35b83a10c366a10833ceefb45edd6c80e40f27"},
      {"post-header-key-sort",
       "POST /",
       "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
       {{"My-Header1", "value1"}}},
      {"post-header-value-case",
       "POST /",
       "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
       {{"My-Header1", "VALUE1"}}},
      {"post-sts-header-before",
       "POST /",
       "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
       {},
       "",
       token_2},
      {"post-vanilla", "POST /",
       "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"post-vanilla-empty-query-value", "POST /?Param1=value1",
       "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
      {"post-x-www-form-urlencoded",
       "POST /",
       "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
       {{"Content-Type", "application/x-www-form-urlencoded"}},
       "Param1=value1"},
      {"post-x-www-form-urlencoded-parameters",
       "POST /",
       "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
       {{"Content-Type", "application/x-www-form-urlencoded; charset=utf8"}},
       "Param1=value1"},
  };
}

TEST(Signer, AgreesWithThePublishedVectors) {
  for (const Vector& one : published_vectors()) {
    const std::size_t space = one.line.find(' ');
    HttpRequest request = get(one.line.substr(space + 1));
    request.method = one.line.substr(0, space);
    request.headers = one.headers;
    request.body = one.body;
    Credentials whose = credentials;
    whose.session_token = one.session_token;
    EXPECT_EQ(signature_of(request, {}, whose), one.signature) << one.name;
  }
}

TEST(Signer, ASlashTooManyChangesNothingButForS3) {
  EXPECT_EQ(signature_of(get("//")), signature_of(get("/")));
  EXPECT_EQ(signature_of(get("/./")), signature_of(get("/")));
  const SigningRules s3{.encodes_path_twice = false, .normalizes_path = false};
  EXPECT_NE(signature_of(get("//a"), s3), signature_of(get("/a"), s3));
}

TEST(Signer, ATokenIsSignedAndAPortThatIsNotTheSchemesOwnAsWell) {
  HttpRequest request = get("/");
  Credentials with_token = credentials;
  with_token.session_token = "token";
  Signer signer("us-east-1", "service");
  signer.sign(request, with_token, moment);
  EXPECT_NE(request.headers.back().second.find("host;x-amz-date;x-amz-security-token"),
            std::string::npos);
  HttpRequest local{"POST", "http://127.0.0.1:8000", {}, "{}", Milliseconds(1000)};
  signer.sign(local, credentials, moment);
  EXPECT_NE(signer.canonical_request(local).find("host:127.0.0.1:8000\n"), std::string::npos);
  EXPECT_EQ(split_url("https://example.com:443/a?b").host, "example.com");
}

TEST(Signer, SigningAgainReplacesWhatWasSigned) {
  HttpRequest request = get("/");
  Signer signer("us-east-1", "service");
  signer.sign(request, credentials, moment);
  const auto once = request.headers;
  signer.sign(request, credentials, moment);
  EXPECT_EQ(request.headers, once);
}

TEST(Signer, NoSecretIsInWhatIsSent) {
  HttpRequest request = get("/");
  Signer("us-east-1", "service").sign(request, credentials, moment);
  for (const auto& [name, value] : request.headers) {
    EXPECT_EQ(value.find(credentials.secret_key), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace whimbrel::aws
