#include "base/sha256.h"

#include <array>

#include "base/error.h"
#include "base/text.h"

namespace whimbrel {

namespace {

// To look an algorithm up by its name costs more than the digest of a short text: it is looked up
// once for all threads, which is never undone, and each thread keeps a state of it.
const EVP_MD* looked_up() {
  static const EVP_MD* const kind = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  assert_always(kind != nullptr, "libcrypto has no SHA-256");
  return kind;
}

}  // namespace

std::string sha256(std::string_view bytes) {
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>> state(EVP_MD_CTX_new());
  assert_always(state != nullptr, "there is no memory for a digest");
  std::string digest(32, '\0');
  const bool done = EVP_DigestInit_ex2(state.get(), looked_up(), nullptr) == 1 &&
                    EVP_DigestUpdate(state.get(), bytes.data(), bytes.size()) == 1 &&
                    EVP_DigestFinal_ex(state.get(), reinterpret_cast<unsigned char*>(digest.data()),
                                       nullptr) == 1;
  assert_always(done, "libcrypto refused a digest");
  return digest;
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
