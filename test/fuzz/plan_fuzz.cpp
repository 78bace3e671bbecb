// Plans: any text is a plan or a list of mistakes that can be shown, and the values of
// a plan are printed as what is read back as the same.
#include "fuzz/fuzz.h"
#include "fuzz/read_back.h"
#include "plan/plan_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace whimbrel;
  const PlanSource source{"plan.yaml", std::string(fuzz::text_of(data, size))};
  Diagnostics diagnostics(source.path, source.text);
  const PlanFile plan = parse_plan(source, {{"DB", "app.db"}}, diagnostics);
  if (!diagnostics.empty()) {
    (void)to_text(diagnostics.error());
    return 0;
  }
  for (const TableEntry& table : plan.tables) {
    for (const ColumnEntry& column : table.columns) fuzz::read_back(column.expr);
  }
  return 0;
}
