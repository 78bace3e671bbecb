// SHA-256 (FIPS 180-4), as libcrypto computes it. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace whimbrel {

std::string sha256(std::string_view bytes);      // 32 bytes
std::string sha256_hex(std::string_view bytes);  // 64 digits

}  // namespace whimbrel
