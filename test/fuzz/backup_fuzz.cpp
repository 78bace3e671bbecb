// The documents of a backup: any text is refused or read, what was read is written and read as the
// same, and a manifest with one changed byte is refused.
#include <nlohmann/json.hpp>

#include "backup/documents.h"
#include "base/text.h"
#include "fuzz/fuzz.h"

namespace whimbrel::fuzz {
namespace {

void schema(std::string_view text) {
  const Result<TableSchema> read = schema_from_text(text);
  if (!read.ok()) return;
  const Result<std::string> written = schema_to_text(read.value());
  demand(written.ok(), "a schema that was read cannot be written", text);
  const Result<TableSchema> again = schema_from_text(written.value());
  demand(again.ok(), "a schema that was written cannot be read", written.value());
  const Result<std::string> twice = schema_to_text(again.value());
  demand(twice.ok() && twice.value() == written.value(), "a schema is read as another one", text,
         written.value());
}

void manifest(std::string_view text) {
  const Result<Manifest> read = manifest_from_text(text);
  if (!read.ok()) return;
  const Result<std::string> written = manifest_to_text(read.value());
  demand(written.ok() && written.value() == text, "a manifest is not what it was read from", text,
         written.ok() ? written.value() : "");
}

// Text that would never have the right digest gets it. Long text may be nested more deeply than
// there is room to indent it.
void signed_manifest(std::string_view text) {
  if (text.size() > 4096) return;
  nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  if (!document.is_object()) return;
  const auto dump = [&] {
    return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  };
  document.erase("digest");
  document["digest"] = digest_hex(dump());
  const std::string right = dump();
  (void)manifest_from_text(right);
}

// A manifest with these bytes in it, and the same with one bit of it flipped.
void made_manifest(std::string_view text) {
  const std::string all(text);
  const std::string some = all.substr(0, all.size() / 2);
  const BackedUpTable rows{some, std::ssize(all), all, some, all};
  const Manifest made{all, {{rows, some, all}, {rows, "", some}}};
  const Result<std::string> written = manifest_to_text(made);
  if (!written.ok()) return;
  demand(manifest_from_text(written.value()).ok(), "a manifest cannot be read", written.value());
  manifest(written.value());
  std::string damaged = written.value();
  char& byte = damaged[all.size() * 7919 % damaged.size()];
  byte = static_cast<char>(byte ^ 1 << all.size() % 8);
  demand(!manifest_from_text(damaged).ok(), "a damaged manifest is accepted", damaged);
}

}  // namespace
}  // namespace whimbrel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace whimbrel::fuzz;
  const std::string_view text = text_of(data, size);
  schema(text);
  manifest(text);
  signed_manifest(text);
  made_manifest(text);
  return 0;
}
