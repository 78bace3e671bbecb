// SHA-256 (FIPS 180-4), as libcrypto computes it. Any thread.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/handle.h"

namespace whimbrel {

std::string sha256(std::string_view bytes);      // 32 bytes
std::string sha256_hex(std::string_view bytes);  // 64 digits

// Over bytes that come in pieces. Other kinds of libcrypto's are for formats that ask for them.
// Threads: one at a time.
class RunningDigest {
 public:
  explicit RunningDigest(const EVP_MD* kind = EVP_sha256());
  void add(std::string_view bytes);
  // Of the bytes so far: more may follow.
  std::string hex() const;
  std::string base64() const;

 private:
  std::string bytes() const;

  std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>> state_;
};

}  // namespace whimbrel
