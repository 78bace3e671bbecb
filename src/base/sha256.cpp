#include "base/sha256.h"

#include <array>

#include "base/error.h"
#include "base/text.h"

namespace whimbrel {

std::string sha256(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  return {reinterpret_cast<const char*>(digest.data()), size};
}

std::string sha256_hex(std::string_view bytes) { return to_hex(sha256(bytes)); }

RunningDigest::RunningDigest(const EVP_MD* kind) : state_(EVP_MD_CTX_new()) {
  assert_always(state_ != nullptr, "there is no memory for a digest");
  EVP_DigestInit_ex(state_.get(), kind, nullptr);
}

void RunningDigest::add(std::string_view bytes) {
  EVP_DigestUpdate(state_.get(), bytes.data(), bytes.size());
}

std::string RunningDigest::bytes() const {
  const std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>> copy(EVP_MD_CTX_new());
  assert_always(copy != nullptr, "there is no memory for a digest");
  EVP_MD_CTX_copy_ex(copy.get(), state_.get());
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_DigestFinal_ex(copy.get(), digest.data(), &size);
  return {reinterpret_cast<const char*>(digest.data()), size};
}

std::string RunningDigest::hex() const { return to_hex(bytes()); }

std::string RunningDigest::base64() const {
  const std::string digest = bytes();
  std::array<unsigned char, 2 * EVP_MAX_MD_SIZE> text{};
  const int size =
      EVP_EncodeBlock(text.data(), reinterpret_cast<const unsigned char*>(digest.data()),
                      static_cast<int>(digest.size()));
  return {reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(size)};
}

}  // namespace whimbrel
