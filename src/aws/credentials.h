// Where credentials come from, in the order that users of AWS's tools expect: the environment, web
// identity (behind a profile that takes a role), the profile (source_profile and role_arn, SSO,
// keys, credential_process), the container, the machine (IMDSv2). A profile that a store names is
// asked alone.
//
// Refreshed five minutes before they expire, at most once a minute, and when a service says that
// they have. No text that leaves here holds a secret. Threads: any, one mutex.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "aws/http.h"
#include "aws/profile.h"
#include "aws/signer.h"
#include "base/clock.h"
#include "base/error.h"

namespace whimbrel::aws {

struct CredentialsWanted {
  std::string profile;   // "": as the environment says
  std::string role_arn;  // to be assumed with what is found; "": none
  std::string region;    // of STS
};

class CredentialsSource {
 public:
  CredentialsSource(Environment environment, SharedConfig config, Place place,
                    CredentialsWanted wanted, std::shared_ptr<Http> http, Clock& clock);
  // Those that are known, unless they are about to expire. `refused` when there are none, with what
  // was looked at.
  Result<Credentials> get();
  // A service has refused the last ones as expired.
  void forget();
  // Where the last ones came from, for a person: "profile staging".
  std::string origin() const;

 private:
  Result<Credentials> find();
  Result<std::optional<Credentials>> from_environment();
  Result<std::optional<Credentials>> from_web_identity();
  Result<std::optional<Credentials>> from_profile(const std::string& name,
                                                  const std::vector<std::string>& through);
  Result<std::optional<Credentials>> from_container();
  Result<std::optional<Credentials>> from_machine();
  Result<Credentials> from_process(const std::string& command, const std::string& profile);
  Result<Credentials> from_sso(const Section& section, const std::string& profile);
  Result<Credentials> from_named_source(const std::string& source, const std::string& profile);
  Result<Credentials> assume_role(const std::string& role, const Section& section,
                                  const Credentials& with);
  // STS is asked without a signature: the token is the proof.
  Result<Credentials> assume_by_web_identity(const std::string& role, const std::string& session,
                                             const std::string& token);
  Result<Credentials> ask_sts(const std::string& body, const Credentials* with,
                              const std::string& what);

  Environment environment_;
  SharedConfig config_;
  Place place_;
  CredentialsWanted wanted_;
  std::shared_ptr<Http> http_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::optional<Credentials> known_;
  Milliseconds asked_{0};  // when they were looked for, of the clock that never goes back
  std::string origin_;
};

}  // namespace whimbrel::aws
