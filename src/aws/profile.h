// The files that people keep for AWS's own tools: ~/.aws/config and ~/.aws/credentials.
//
// Read as the AWS CLI reads them
// (https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html):
// `[profile x]` in config and `[x]` in credentials are one profile, and credentials win.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"

namespace whimbrel::aws {

// Environment variables by name; "" when unset. Passed in, so that a test can hold its own.
using Environment = std::function<std::string(const std::string& name)>;
Environment process_environment();

using Section = std::map<std::string, std::string>;  // keys in lower case; nested ones as "a.b"

struct SharedConfig {
  std::map<std::string, Section> profiles;
  std::map<std::string, Section> sso_sessions;
  std::map<std::string, Section> services;
};

// Files that are not there are empty; `invalid_plan` with file and line for one that cannot be read
// as such.
Result<SharedConfig> read_shared_config(const Environment& environment);
// One file's text; for tests.
Status read_config_text(const std::string& text, bool is_credentials, const std::string& name,
                        SharedConfig& into);

// AWS_PROFILE, AWS_DEFAULT_PROFILE or "default".
std::string profile_name(const Environment& environment);

// What a side is asked with: from the store's URL, the environment, the profile, in this order.
struct Place {
  std::string region;                            // "" when nothing names one
  std::map<std::string, std::string> endpoints;  // by service; "" is for all of them
  std::string ca_bundle;
  std::string profile;

  // The URL of a service: one of the endpoints, else AWS's own for the region.
  std::string url_of(const std::string& service) const;
};
Result<Place> find_place(const Environment& environment, const SharedConfig& config,
                         const std::string& profile, const std::string& region,
                         const std::string& endpoint);

}  // namespace whimbrel::aws
