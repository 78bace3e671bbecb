#include "aws/web.h"

#include <cstdlib>

namespace whimbrel {

std::unique_ptr<aws::Http> make_web() {
  const char* certificates = std::getenv("SSL_CERT_FILE");  // NOLINT: nobody sets it
  return aws::make_http({.ca_bundle = certificates == nullptr ? "" : certificates});
}

aws::HttpRequest web_request(std::string method, std::string url, std::string body,
                             const aws::Headers& headers, Milliseconds at_most) {
  aws::HttpRequest request;
  request.method = std::move(method);
  request.url = std::move(url);
  request.headers = {{"Accept", "application/json"}, {"User-Agent", "whimbrel"}};
  if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  request.headers.insert(request.headers.end(), headers.begin(), headers.end());
  request.body = std::move(body);
  request.timeout = at_most;
  return request;
}

std::string why_unanswered(const Error& error) {
  const std::size_t at = error.message.find("did not answer");
  return at == std::string::npos ? "did not answer" : error.message.substr(at);
}

}  // namespace whimbrel
