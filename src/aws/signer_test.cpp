#include "aws/signer.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace whimbrel::aws {
namespace {

// The credentials and the moment of AWS's own test suite for Signature Version 4.
const Credentials credentials{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", {}};
const TimePoint moment{Milliseconds(1440938160000)};  // 2015-08-30T12:36:00Z

std::string signature_of(HttpRequest request, SigningRules rules = {}) {
  Signer signer("us-east-1", "service", rules);
  signer.sign(request, credentials, moment);
  const std::string header = request.headers.back().second;
  return header.substr(header.rfind('=') + 1);
}

HttpRequest get(const std::string& rest) {
  return {"GET", "https://example.amazonaws.com" + rest, {}, "", Milliseconds(1000)};
}

TEST(Signer, AgreesWithThePublishedVectors) {
  // get-vanilla
  EXPECT_EQ(signature_of(get("/")),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  // get-vanilla-query-order-key-case
  EXPECT_EQ(signature_of(get("/?Param2=value2&Param1=value1")),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
  // get-vanilla-query-unreserved, of all letters and digits
  EXPECT_EQ(signature_of(get("/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz="
                             "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")),
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197");
  // post-vanilla
  HttpRequest post = get("/");
  post.method = "POST";
  EXPECT_EQ(signature_of(post), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
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
