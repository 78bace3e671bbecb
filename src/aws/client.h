// One service of AWS, asked as one side of a migration: signed, retried, several calls at once.
//
// Retries follow AWS's standard of 2026: full jitter, 25 ms doubled for what is transient and
// longer for what is throttled, a budget of tokens that lasts for all calls of a client. A
// throttled call is tried for minutes: who copies a table would only come back with it anyway.
// Threads: one at a time for each Client; several clients share an Access.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "aws/credentials.h"
#include "aws/http.h"
#include "aws/profile.h"
#include "aws/signer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"

namespace whimbrel::aws {

// How one side is reached: where, and with which credentials. Shared by its clients; any thread.
class Access {
 public:
  struct Wanted {
    std::string region;  // "": from the environment or the profile
    std::string profile;
    std::string role_arn;
    std::string endpoint;
  };
  static Result<std::shared_ptr<Access>> open(const Wanted& wanted, const Environment& environment,
                                              Clock& clock);
  const Place& place() const { return place_; }
  CredentialsSource& credentials() { return *credentials_; }
  std::string credentials_origin() const { return credentials_->origin(); }
  std::unique_ptr<Http> connect() const;

 private:
  Place place_;
  std::unique_ptr<HttpPool> connections_;
  std::unique_ptr<CredentialsSource> credentials_;
};

// What `profile=…&endpoint=…` says; an empty parameter counts as absent. invalid_plan for a name
// that is not one of `names`: `whose` is what has no such parameter, `like` how it is written.
Result<Access::Wanted> wanted_of(std::string_view query, const std::vector<std::string>& names,
                                 const std::string& whose, const std::string& like);

struct ThrottlingReason {
  std::string reason;    // "TableWriteKeyRangeThroughputExceeded"
  std::string resource;  // an ARN
};

// What a service said: a body, or which error it is.
struct Reply {
  int status = 0;
  std::string body;
  std::string
      error;  // the type, without its prefix: "ResourceNotFoundException"; "" when it is well
  std::string message;
  std::vector<ThrottlingReason> throttling;
  Headers headers;  // names in lower case
  std::string header(std::string_view name) const { return header_of(headers, name); }
  bool ok() const { return error.empty(); }
  bool throttled() const;
};

struct Call {
  std::string operation;  // as in X-Amz-Target, or a label for a REST call
  std::string body;
  bool repeatable = true;  // else an unknown outcome is not followed by a second try
  std::string method = "POST";
  std::string path = "/";  // with a query
  Headers headers = {};
  Milliseconds timeout{60'000};  // of one try
  bool keeps_trying = true;      // when throttled; else that is the reply
};

struct ServiceKind {
  std::string endpoint;  // of the address: "streams.dynamodb"
  std::string signing;   // of the signature: "dynamodb"
  std::string target;    // before the operation in X-Amz-Target; "" for a REST service
  std::string content_type = "application/x-amz-json-1.0";
  SigningRules rules = {};
};
ServiceKind dynamodb_service();
ServiceKind streams_service();
ServiceKind lambda_service();
ServiceKind ssm_service();
ServiceKind s3_service();
ServiceKind monitoring_service();

class Client {
 public:
  // Hears of each throttled call before it is tried again.
  using OnThrottled = std::function<void(const Reply&)>;

  Client(std::shared_ptr<Access> access, ServiceKind service, Clock& clock);
  // All at once; a reply each, in order. A Reply with an error is one that trying again does not
  // mend. Errors: `unavailable` when all tries were in vain, `outcome_unknown` for a call that is
  // not repeatable and may have happened, `refused` without credentials.
  std::vector<Result<Reply>> send(std::span<const Call> calls);
  // One call; what is no success is an error, see `to_error`.
  Result<std::string> call(const std::string& operation, const std::string& body,
                           bool repeatable = true);
  Result<Reply> send_one(const Call& call);

  void on_throttled(OnThrottled hear) { on_throttled_ = std::move(hear); }
  // As an error for a person: what was asked, where, as whom, and which permission it wants.
  Error to_error(const Reply& reply, const std::string& operation) const;
  const Access& access() const { return *access_; }

 private:
  struct Pending;
  enum class Verdict { done, again, in_vain };
  Verdict judge(Pending& pending, Result<HttpResponse> answer);
  Verdict try_again(Pending& pending, Milliseconds base, int tokens, Error why);
  Result<HttpRequest> prepare(const Call& call);
  static Reply read(HttpResponse answer);
  bool mend_clock(const Reply& reply, Milliseconds signed_by);

  std::shared_ptr<Access> access_;
  ServiceKind service_;
  Clock& clock_;
  std::unique_ptr<Http> http_;
  Signer signer_;
  Random random_;
  OnThrottled on_throttled_;
  Milliseconds skew_{0};  // what the service's clock is ahead of ours
  int tokens_;
};

}  // namespace whimbrel::aws
