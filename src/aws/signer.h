// Signature Version 4, as AWS documents it
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
//
// Of our own, because the signer of Debian 12's curl signs headers that it does not send, and sorts
// queries wrongly. The derived key is kept for the day. Threads: one at a time for each Signer.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "aws/http.h"
#include "base/clock.h"
#include "base/sha256.h"

namespace whimbrel::aws {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;         // "" for those of a user
  std::optional<TimePoint> expires;  // unset: never
};

struct SigningRules {
  bool encodes_path_twice = true;   // all services but S3
  bool normalizes_path = true;      // the same
  bool signs_payload_hash = false;  // sends x-amz-content-sha256, as S3 wants it
  bool unsigned_payload = false;    // a body over https that is not hashed
};

class Signer {
 public:
  Signer(std::string region, std::string service, SigningRules rules = {});
  // Adds host, x-amz-date, x-amz-security-token and authorization to the request's headers.
  void sign(HttpRequest& request, const Credentials& credentials, TimePoint now);

  // What is signed, for whoever wants to see: with headers as `sign` has left them.
  std::string canonical_request(const HttpRequest& request) const;
  std::string string_to_sign(const HttpRequest& request) const;

 private:
  std::string canonical_request(const HttpRequest& request, const std::string& lines,
                                const std::string& names) const;
  std::string string_to_sign(const std::string& at, const std::string& canonical) const;
  std::string scope(std::string_view date) const;
  const std::string& key_for(const Credentials& credentials, std::string_view date);

  std::string region_;
  std::string service_;
  SigningRules rules_;
  std::string key_;
  std::string key_made_of_;
};

std::string hmac_sha256(std::string_view key, std::string_view message);
// RFC 3986: all but letters, digits and -._~ as %XX; a slash stays where `keep_slash`.
std::string uri_encode(std::string_view text, bool keep_slash = false);

}  // namespace whimbrel::aws
