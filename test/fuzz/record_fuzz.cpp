// Journal records: what is accepted is written as something that is accepted and means the same.
//
// Input: the record's name, a newline, its JSON.
#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "journal/record.h"

namespace whimbrel::fuzz {
namespace {

// Fields that this release knows come out as they went in.
void nothing_is_changed(const std::string& in, const std::string& out) {
  const auto before = nlohmann::json::parse(in, nullptr, false);
  const auto after = nlohmann::json::parse(out, nullptr, false);
  for (const auto& [field, value] : after.items()) {
    const bool kept = !before.contains(field) || before[field].dump() == value.dump();
    demand(kept, "a field was changed", in, out);
  }
}

}  // namespace
}  // namespace whimbrel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace whimbrel;
  const std::string text(fuzz::text_of(data, size));
  const std::size_t end = text.find('\n');
  const std::string name = text.substr(0, end);
  const std::string body = end == std::string::npos ? "" : text.substr(end + 1);
  const Result<Record> record = record_from_json(name, body);
  if (!record.ok()) return 0;
  fuzz::demand(name == name_of(record.value()), "a record has another name", name);
  const std::string written = to_json(record.value());
  fuzz::nothing_is_changed(body, written);
  const Result<Record> again = record_from_json(name, written);
  fuzz::demand(again.ok(), "a written record cannot be read", body, written);
  fuzz::demand(to_json(again.value()) == written, "a record is read as another one", written,
               to_json(again.value()));
  (void)replay({Stamped{1, TimePoint(), record.value()}});
  return 0;
}
