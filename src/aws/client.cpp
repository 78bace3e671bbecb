#include "aws/client.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>

#include "aws/words.h"
#include "aws/xml.h"
#include "base/text.h"

namespace whimbrel::aws {

namespace {

constexpr int tokens_max = 500;
constexpr int tokens_transient = 14;
constexpr int attempts_max = 8;
constexpr Milliseconds base_transient{25};
constexpr Milliseconds base_throttled{50};
constexpr Milliseconds pause_max{5'000};
constexpr Milliseconds throttled_max{600'000};
constexpr Milliseconds skew_that_matters{240'000};

constexpr std::array throttling_types = {
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "Throttling",
    "TooManyRequestsException",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "TransactionInProgressException",
};
constexpr std::array expired_types = {"ExpiredTokenException", "ExpiredToken",
                                      "TokenRefreshRequired", "RequestExpired"};
constexpr std::array skew_types = {"InvalidSignatureException", "SignatureDoesNotMatch",
                                   "RequestTimeTooSkewed", "RequestInTheFuture"};

bool is_one_of(const auto& types, const std::string& type) {
  return std::ranges::any_of(types, [&](const char* one) { return type == one; });
}

std::string after_hash(const std::string& type) {
  std::string name = type.substr(0, type.find(':'));
  const std::size_t hash = type.find('#');
  if (hash != std::string::npos) name = type.substr(hash + 1);
  return name.substr(0, name.find(':'));
}

// "Tue, 15 Nov 1994 08:12:31 GMT".
std::optional<TimePoint> parse_http_date(const std::string& text) {
  std::tm parts{};
  if (strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S", &parts) == nullptr) return std::nullopt;
  return TimePoint(Milliseconds(std::int64_t{timegm(&parts)} * 1000));
}

// Whether the body is the one that was sent, where the service says so.
bool is_whole(const HttpResponse& answer) {
  const std::string told = answer.header("x-amz-crc32");
  if (told.empty()) return true;
  unsigned long expected = 0;
  std::from_chars(told.data(), told.data() + told.size(), expected);
  const unsigned long found = crc32(0, reinterpret_cast<const Bytef*>(answer.body.data()),
                                    static_cast<uInt>(answer.body.size()));
  return expected == found;
}

std::string iam_action(const ServiceKind& service, const std::string& operation) {
  const std::string prefix = service.signing == "monitoring" ? "cloudwatch" : service.signing;
  return prefix + ":" + operation;
}

}  // namespace

ServiceKind dynamodb_service() { return {"dynamodb", "dynamodb", "DynamoDB_20120810"}; }
ServiceKind streams_service() {
  return {"streams.dynamodb", "dynamodb", "DynamoDBStreams_20120810"};
}
ServiceKind lambda_service() { return {"lambda", "lambda", "", "application/json"}; }
ServiceKind ssm_service() { return {"ssm", "ssm", "AmazonSSM", "application/x-amz-json-1.1"}; }
ServiceKind s3_service() {
  return {"s3",
          "s3",
          "",
          "",
          {.encodes_path_twice = false, .normalizes_path = false, .signs_payload_hash = true}};
}
ServiceKind monitoring_service() {
  return {"monitoring", "monitoring", "", "application/x-www-form-urlencoded; charset=utf-8"};
}

Result<std::shared_ptr<Access>> Access::open(const Wanted& wanted, const Environment& environment,
                                             Clock& clock) {
  ASSIGN_OR_RETURN(const SharedConfig config, read_shared_config(environment));
  auto access = std::make_shared<Access>();
  ASSIGN_OR_RETURN(access->place_,
                   find_place(environment, config, wanted.profile, wanted.region, wanted.endpoint));
  if (access->place_.region.empty()) {
    return Error{ErrorCode::invalid_plan, "no region is named for AWS",
                 "set AWS_REGION, or write it into the store: `dynamodb:eu-central-1`"};
  }
  HttpSettings settings;
  settings.ca_bundle = access->place_.ca_bundle;
  access->connections_ = std::make_unique<HttpPool>(std::move(settings));
  access->credentials_ = std::make_unique<CredentialsSource>(
      environment, config, access->place_,
      CredentialsWanted{wanted.profile, wanted.role_arn, access->place_.region},
      std::shared_ptr<Http>(access->connect()), clock);
  return access;
}

std::unique_ptr<Http> Access::connect() const { return connections_->take(); }

Result<Access::Wanted> wanted_of(std::string_view query, const std::vector<std::string>& names,
                                 const std::string& whose, const std::string& like) {
  Access::Wanted wanted;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const std::string_view name = pair.substr(0, pair.find('='));
    const std::string_view value = pair.substr(std::min(name.size() + 1, pair.size()));
    if (value.empty()) continue;
    if (std::ranges::find(names, name) == names.end()) {
      return Error{ErrorCode::invalid_plan,
                   fmt::format("{} has no parameter `{}`", whose, printable(name)), like};
    }
    (name == "region"     ? wanted.region
     : name == "profile"  ? wanted.profile
     : name == "role_arn" ? wanted.role_arn
                          : wanted.endpoint) = value;
  }
  return wanted;
}

bool Reply::throttled() const { return is_one_of(throttling_types, error) || status == 429; }

struct Client::Pending {
  const Call* call = nullptr;
  std::optional<Result<Reply>> outcome;
  int attempts = 0;
  int throttled = 0;
  bool refreshed = false;  // credentials, after they had expired
  bool corrected = false;  // the clock
  Milliseconds skew{0};    // of the clock that it was signed by
  Milliseconds since{0};
  Milliseconds due{0};
};

Client::Client(std::shared_ptr<Access> access, ServiceKind service, Clock& clock)
    : access_(std::move(access)),
      service_(std::move(service)),
      clock_(clock),
      http_(access_->connect()),
      signer_(access_->place().region, service_.signing, service_.rules),
      random_(static_cast<std::uint64_t>(clock.precise().count()) ^
              reinterpret_cast<std::uintptr_t>(this)),  // NOLINT: jitter only
      tokens_(tokens_max) {}

Result<HttpRequest> Client::prepare(const Call& call) {
  HttpRequest request;
  request.method = call.method;
  request.url = access_->place().url_of(service_.endpoint) + call.path;
  if (!service_.content_type.empty() && call.method != "GET" && call.method != "HEAD") {
    request.headers.emplace_back("content-type", service_.content_type);
  }
  if (!service_.target.empty()) {
    request.headers.emplace_back("x-amz-target", service_.target + "." + call.operation);
  }
  for (const auto& header : call.headers) request.headers.push_back(header);
  request.body = call.body;
  request.timeout = call.timeout;
  ASSIGN_OR_RETURN(const Credentials credentials, access_->credentials().get());
  signer_.sign(request, credentials, clock_.now() + skew_);
  return request;
}

Reply Client::read(HttpResponse answer) {
  Reply reply;
  reply.status = answer.status;
  reply.headers = std::move(answer.headers);
  reply.body = std::move(answer.body);
  if (reply.status >= 200 && reply.status < 300) return reply;
  const nlohmann::json body = nlohmann::json::parse(reply.body, nullptr, false);
  reply.error = after_hash(text_of(body, {"__type", "code", "Code", "Type"}));
  reply.message = text_of(body, {"message", "Message", "errorMessage"});
  const std::string error_type = reply.header("x-amzn-errortype");
  if (!error_type.empty()) reply.error = after_hash(error_type);
  if (!body.is_object()) {
    reply.error = tag_of(reply.body, "Code");
    reply.message = tag_of(reply.body, "Message");
  }
  if (reply.error.empty()) {
    reply.error =
        reply.status == 413 ? "RequestEntityTooLarge" : fmt::format("status {}", reply.status);
  }
  if (body.is_object() && body.contains("ThrottlingReasons") &&
      body["ThrottlingReasons"].is_array()) {
    for (const auto& one : body["ThrottlingReasons"]) {
      if (one.is_object()) {
        reply.throttling.push_back({one.value("reason", ""), one.value("resource", "")});
      }
    }
  }
  return reply;
}

// The service says what time it is there; corrected once, and for all later calls. Of several at
// once each was signed by the wrong one.
bool Client::mend_clock(const Reply& reply, Milliseconds signed_by) {
  const std::optional<TimePoint> theirs = parse_http_date(reply.header("date"));
  if (!theirs) return false;
  const Milliseconds ahead = *theirs - clock_.now();
  const Milliseconds off = ahead - signed_by;
  if (off < skew_that_matters && off > -skew_that_matters) return false;
  skew_ = ahead;
  return true;
}

Client::Verdict Client::try_again(Pending& pending, Milliseconds base, int tokens, Error why) {
  const bool has_budget = tokens_ >= tokens || tokens == 0;
  const bool may = tokens == 0 ? clock_.monotonic() - pending.since < throttled_max
                               : ++pending.attempts < attempts_max && has_budget;
  if (!may) {
    pending.outcome = std::move(why);
    return Verdict::in_vain;
  }
  tokens_ -= tokens;
  const int doubled = std::min(tokens == 0 ? pending.throttled++ : pending.attempts, 12);
  const Milliseconds most = std::min(pause_max, base * (1 << doubled));
  pending.due = clock_.monotonic() + Milliseconds(random_.below(most.count() + 1));
  return Verdict::again;
}

Client::Verdict Client::judge(Pending& pending, Result<HttpResponse> answer) {
  if (!answer.ok()) {
    Error why = std::move(answer).error();
    if (why.code == ErrorCode::outcome_unknown && !pending.call->repeatable) {
      pending.outcome = std::move(why);
      return Verdict::in_vain;
    }
    why.code = ErrorCode::unavailable;
    return try_again(pending, base_transient, tokens_transient, std::move(why));
  }
  if (!is_whole(answer.value())) {
    return try_again(pending, base_transient, tokens_transient,
                     Error{ErrorCode::unavailable, "a reply arrived damaged (x-amz-crc32)"});
  }
  Reply reply = read(std::move(answer).value());
  if (reply.ok()) {
    tokens_ = std::min(tokens_ + 1, tokens_max);
    pending.outcome = std::move(reply);
    return Verdict::done;
  }
  if (reply.throttled()) {
    if (on_throttled_) on_throttled_(reply);
    if (!pending.call->keeps_trying) {
      pending.outcome = std::move(reply);
      return Verdict::done;
    }
    return try_again(pending, base_throttled, 0, to_error(reply, pending.call->operation));
  }
  if (is_one_of(expired_types, reply.error) && !pending.refreshed) {
    pending.refreshed = true;
    access_->credentials().forget();
    return Verdict::again;
  }
  if (is_one_of(skew_types, reply.error) && !pending.corrected && mend_clock(reply, pending.skew)) {
    pending.corrected = true;
    return Verdict::again;
  }
  if (reply.status >= 500 || reply.error == "RequestTimeout" ||
      reply.error == "InternalServerError") {
    if (!pending.call->repeatable) {
      pending.outcome =
          Error{ErrorCode::outcome_unknown, to_error(reply, pending.call->operation).message};
      return Verdict::in_vain;
    }
    Error why = to_error(reply, pending.call->operation);
    why.code = ErrorCode::unavailable;
    return try_again(pending, base_transient, tokens_transient, std::move(why));
  }
  pending.outcome = std::move(reply);
  return Verdict::done;
}

std::vector<Result<Reply>> Client::send(std::span<const Call> calls) {
  std::vector<Pending> all(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    all[i].call = &calls[i];
    all[i].since = clock_.monotonic();
  }
  while (true) {
    std::vector<Pending*> due;
    std::optional<Milliseconds> next;
    const Milliseconds now = clock_.monotonic();
    for (Pending& one : all) {
      if (one.outcome) continue;
      if (one.due <= now) {
        due.push_back(&one);
      } else {
        next = std::min(next.value_or(one.due), one.due);
      }
    }
    if (due.empty() && !next) break;
    if (due.empty()) {
      clock_.sleep_for(std::max(*next - now, Milliseconds(1)));
      continue;
    }
    std::vector<HttpRequest> requests;
    std::vector<Pending*> sent;
    for (Pending* one : due) {
      one->skew = skew_;
      Result<HttpRequest> request = prepare(*one->call);
      if (!request.ok()) {
        one->outcome = std::move(request).error();
        continue;
      }
      requests.push_back(std::move(request).value());
      sent.push_back(one);
    }
    std::vector<Result<HttpResponse>> answers = http_->send(requests);
    for (std::size_t i = 0; i < sent.size(); ++i) judge(*sent[i], std::move(answers[i]));
  }
  std::vector<Result<Reply>> replies;
  replies.reserve(all.size());
  for (Pending& one : all) replies.push_back(*std::move(one.outcome));
  return replies;
}

Result<Reply> Client::send_one(const Call& call) {
  return std::move(send(std::span(&call, 1)).front());
}

Result<std::string> Client::call(const std::string& operation, const std::string& body,
                                 bool repeatable) {
  ASSIGN_OR_RETURN(Reply reply, send_one(Call{operation, body, repeatable}));
  if (!reply.ok()) return to_error(reply, operation);
  return std::move(reply.body);
}

Error Client::to_error(const Reply& reply, const std::string& operation) const {
  const Place& place = access_->place();
  const std::string where = fmt::format("{} in {}", operation, place.region);
  const std::string said =
      reply.message.empty() ? reply.error : reply.error + ": " + printable(reply.message, 400);
  if (reply.error == "ResourceNotFoundException" || reply.error == "NoSuchBucket" ||
      reply.error == "NoSuchKey" || reply.error == "ParameterNotFound") {
    return Error{ErrorCode::not_found, fmt::format("{}: {}", where, said)};
  }
  if (reply.error == "ConditionalCheckFailedException") {
    return Error{ErrorCode::conflict, fmt::format("{}: {}", where, said)};
  }
  if (reply.error == "AccessDeniedException" || reply.error == "AccessDenied" ||
      reply.error == "UnauthorizedOperation") {
    return Error{ErrorCode::refused, fmt::format("{}: {}", where, said),
                 fmt::format("whoever {} is needs the permission {}", access_->credentials_origin(),
                             iam_action(service_, operation))}
        .of_caller();
  }
  if (reply.error == "UnrecognizedClientException" || is_one_of(expired_types, reply.error) ||
      is_one_of(skew_types, reply.error) || reply.error == "InvalidClientTokenId" ||
      reply.error == "InvalidAccessKeyId" || reply.error == "MissingAuthenticationTokenException" ||
      reply.error == "IncompleteSignatureException") {
    return Error{ErrorCode::refused, fmt::format("{}: {}", where, said),
                 fmt::format("the credentials came from {}; are they for this account, and still "
                             "good?",
                             access_->credentials_origin())}
        .of_caller();
  }
  if (reply.error == "ResourceInUseException" || reply.error == "ResourceConflictException" ||
      reply.error == "PreconditionFailedException") {
    return Error{ErrorCode::conflict, fmt::format("{}: {}", where, said)};
  }
  if (reply.throttled() || reply.status >= 500) {
    return Error{ErrorCode::unavailable, fmt::format("{}: {}", where, said)};
  }
  Error refused{ErrorCode::refused, fmt::format("{}: {}", where, said)};
  const bool is_of_what_was_asked = reply.error == "ValidationException" || reply.status == 413 ||
                                    reply.error == "ItemCollectionSizeLimitExceededException";
  return is_of_what_was_asked ? refused : std::move(refused).of_caller();
}

}  // namespace whimbrel::aws
