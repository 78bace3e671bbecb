#include "cutover/aws_service.h"

#include "aws/profile.h"
#include "base/text.h"

namespace whimbrel {

namespace {

class LiveService final : public AwsService {
 public:
  LiveService(aws::ServiceKind kind, Clock& clock) : kind_(std::move(kind)), clock_(clock) {}

  Result<aws::Reply> send(const aws::Call& call) override {
    if (client_ == nullptr) {
      ASSIGN_OR_RETURN(std::shared_ptr<aws::Access> access,
                       aws::Access::open({}, aws::process_environment(), clock_));
      client_ = std::make_unique<aws::Client>(std::move(access), kind_, clock_);
    }
    return client_->send_one(call);
  }
  Error to_error(const aws::Reply& reply, const std::string& operation) const override {
    assert_always(client_ != nullptr, "a reply came from nobody");
    return client_->to_error(reply, operation);
  }

 private:
  aws::ServiceKind kind_;
  Clock& clock_;
  std::unique_ptr<aws::Client> client_;
};

}  // namespace

Result<std::string> AwsService::ask(const aws::Call& call, const std::string& frame,
                                    const std::vector<std::string>& secrets) {
  Result<aws::Reply> reply = send(call);
  if (!reply.ok()) return std::move(reply).error().within(frame);
  aws::Reply said = std::move(reply).value();
  if (said.ok()) return std::move(said.body);
  said.message = masked(said.message, secrets);
  return to_error(said, call.operation).within(frame);
}

std::unique_ptr<AwsService> make_aws_service(aws::ServiceKind kind, Clock& clock) {
  return std::make_unique<LiveService>(std::move(kind), clock);
}

}  // namespace whimbrel
