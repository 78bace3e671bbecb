// Services that are no AWS: how they are asked, and how it is told that they did not answer.
#pragma once

#include <memory>
#include <string>

#include "aws/http.h"
#include "base/error.h"

namespace whimbrel {

// Trusts the certificates of SSL_CERT_FILE, else the system's.
std::unique_ptr<aws::Http> make_web();
// `body`: JSON; "" for none. `headers` beside those that say so.
aws::HttpRequest web_request(std::string method, std::string url, std::string body,
                             const aws::Headers& headers, Milliseconds at_most);
// Why no answer came, without the URL, which may hold a secret.
std::string why_unanswered(const Error& error);

}  // namespace whimbrel
