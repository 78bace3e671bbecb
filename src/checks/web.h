// Services that are no AWS: how they are reached, and how it is told that they were not.
#pragma once

#include <memory>
#include <string>

#include "aws/http.h"
#include "base/error.h"

namespace whimbrel {

// Trusts the certificates of SSL_CERT_FILE, else the system's.
std::unique_ptr<aws::Http> make_web();
// Why no answer came, without the URL, which may hold a secret.
std::string why_unanswered(const Error& error);

}  // namespace whimbrel
