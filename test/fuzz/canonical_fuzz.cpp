// The canonical form: bytes are a row, and only that row, or an error.
#include "fuzz/fuzz.h"
#include "value/value.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace whimbrel;
  const std::string_view bytes = fuzz::text_of(data, size);
  const Result<Row> row = row_from_canonical(bytes);
  if (!row.ok()) return 0;
  fuzz::demand(canonical(row.value()) == bytes, "accepted bytes are not what the row gives",
               show(row.value()));
  fuzz::demand(same(row.value(), row.value()) && compare(row.value(), row.value()) == 0,
               "a row is not the same as itself", show(row.value()));
  fuzz::demand(size_of(row.value()) >= 0 && !key_digest(row.value()).empty(), "a row has no size");
  return 0;
}
