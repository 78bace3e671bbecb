#include <fmt/format.h>

#include <charconv>

#include "base/counted.h"
#include "base/text.h"
#include "stores/registry.h"
#include "verbs.h"
#include "verify/diff.h"

namespace whimbrel::cli {

std::string percent_decoded(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const bool is_code = text[i] == '%' && i + 2 < text.size() &&
                         std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr ==
                             text.data() + i + 3;
    if (is_code) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

namespace {

struct DiffSide {
  std::shared_ptr<Store> store;
  std::string table;
};

// A path has slashes as well: the table is what follows the last one.
Result<DiffSide> open_side(const std::string& address, Clock& clock) {
  const std::size_t slash = address.rfind('/');
  if (slash == std::string::npos || slash + 1 == address.size()) {
    return Error{ErrorCode::invalid_plan, fmt::format("`{}` names no table", printable(address)),
                 "write STORE/TABLE, like sqlite:app.db/orders; odd characters as %20"};
  }
  ASSIGN_OR_RETURN(auto store, open_store(address.substr(0, slash), clock));
  return DiffSide{std::move(store), percent_decoded(address.substr(slash + 1))};
}

nlohmann::json document(const TableDiff& diff, bool redact) {
  nlohmann::json examples = nlohmann::json::array();
  for (const RowDifference& one : diff.examples) {
    if (redact) break;
    examples.push_back({{"key", one.key}, {"what", one.what}});
  }
  return {{"equal", diff.equal()},
          {"left_rows", diff.left_rows},
          {"right_rows", diff.right_rows},
          {"differing", diff.differing},
          {"only_left", diff.missing_right},
          {"only_right", diff.missing_left},
          {"columns", diff.columns},
          {"columns_only_left", diff.only_left},
          {"columns_only_right", diff.only_right},
          {"differences", examples}};
}

}  // namespace

int diff(const Options& options) {
  Context context(options);
  const Result<DiffSide> left = open_side(options.left, context.clock());
  if (!left.ok()) return context.fail(left.error());
  const Result<DiffSide> right = open_side(options.right, context.clock());
  if (!right.ok()) return context.fail(right.error());
  const Result<TableDiff> compared =
      diff_tables(*left.value().store, left.value().table, *right.value().store,
                  right.value().table, options.columns, stop_flag(), context.progress());
  if (!compared.ok()) return context.fail(compared.error());
  const TableDiff& value = compared.value();
  if (options.json) {
    std::printf("%s\n", document(value, options.redact)
                            .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                            .c_str());
  }
  if (!value.only_left.empty()) {
    context.say("columns only left: " + join(value.only_left, ", ") + "\n");
  }
  if (!value.only_right.empty()) {
    context.say("columns only right: " + join(value.only_right, ", ") + "\n");
  }
  for (const RowDifference& one : value.examples) {
    if (!options.redact) context.say(fmt::format("key {}: {}\n", one.key, one.what));
  }
  const std::string reason =
      fmt::format("{} left, {} right; {} {}, {} only left, {} only right",
                  rows_text(value.left_rows), with_thousands(value.right_rows),
                  with_thousands(value.differing), value.differing == 1 ? "differs" : "differ",
                  with_thousands(value.missing_right), with_thousands(value.missing_left));
  return context.finish(value.equal() ? done : failed, value.equal() ? "equal" : "different",
                        reason);
}

}  // namespace whimbrel::cli
