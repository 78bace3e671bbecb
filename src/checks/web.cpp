#include "checks/web.h"

#include <cstdlib>

namespace whimbrel {

std::unique_ptr<aws::Http> make_web() {
  const char* certificates = std::getenv("SSL_CERT_FILE");  // NOLINT: nobody sets it
  return aws::make_http({.ca_bundle = certificates == nullptr ? "" : certificates});
}

std::string why_unanswered(const Error& error) {
  const std::size_t at = error.message.find("did not answer");
  return at == std::string::npos ? "did not answer" : error.message.substr(at);
}

}  // namespace whimbrel
