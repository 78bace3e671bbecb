// One service of AWS, as a switch asks it. A test hands in its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"
#include "base/error.h"

namespace whimbrel {

class AwsService {
 public:
  virtual ~AwsService() = default;
  // As aws::Client::send_one.
  virtual Result<aws::Reply> send(const aws::Call& call) = 0;
  // The body of a reply of success; else an error within `frame`, in which `secrets` are masked.
  Result<std::string> ask(const aws::Call& call, const std::string& frame,
                          const std::vector<std::string>& secrets = {});
  // As aws::Client::to_error: for a reply that is none of success.
  virtual Error to_error(const aws::Reply& reply, const std::string& operation) const = 0;
};

// Region and credentials as AWS's own tools find them, looked for when it is first asked.
std::unique_ptr<AwsService> make_aws_service(aws::ServiceKind kind, Clock& clock);

}  // namespace whimbrel
