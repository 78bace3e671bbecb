#include "plan/text_map.h"

#include <csv.h>
#include <fmt/format.h>

#include <fstream>
#include <sstream>
#include <vector>

#include "base/text.h"

namespace whimbrel {

namespace {

// What libcsv calls back into.
class Lines {
 public:
  explicit Lines(std::string path)
      : path_(std::move(path)), meant_(std::make_shared<Spellings>()) {}

  void field(void* text, std::size_t size) {
    fields_.emplace_back(static_cast<const char*>(text), size);
  }
  void end_of_line() {
    ++number_;
    const std::vector<std::string> fields = std::exchange(fields_, {});
    const bool is_heading = number_ == 1 && fields == std::vector<std::string>{"old", "new"};
    if (is_heading || !status_.ok()) return;
    if (fields.size() != 2) {
      status_ = wrong(fmt::format("{} values", fields.size()), "each line is `old,new`");
    } else if (meant_->instead_of(fields[0])) {
      status_ = wrong(fmt::format("`{}` comes a second time", printable(fields[0])),
                      "one text becomes one other");
    } else {
      meant_->put(fields[0], fields[1]);
    }
  }
  Error wrong(const std::string& what, const std::string& hint) const {
    return Error{ErrorCode::refused, fmt::format("{}, line {}: {}", path_, number_, what), hint};
  }

  Result<std::shared_ptr<Spellings>> take() && {
    if (!status_.ok()) return status_.error();
    return std::move(meant_);
  }

 private:
  std::string path_;
  std::shared_ptr<Spellings> meant_;
  std::vector<std::string> fields_;
  std::int64_t number_ = 0;
  Status status_;
};

}  // namespace

Result<TextMap> read_text_map(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return Error{ErrorCode::not_found, "there is no file " + path + " that can be read",
                 "files a plan reads are relative to the plan"};
  }
  std::stringstream whole;
  whole << in.rdbuf();
  TextMap map{whole.str(), nullptr};
  Lines lines(path);
  const bool is_marked = map.text.starts_with("\xEF\xBB\xBF");  // by a spreadsheet
  const std::string_view text = std::string_view(map.text).substr(is_marked ? 3 : 0);
  csv_parser parser;
  if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0) {
    return Error{ErrorCode::internal, "libcsv does not begin", ""};
  }
  const auto field = [](void* value, std::size_t size, void* to) {
    static_cast<Lines*>(to)->field(value, size);
  };
  const auto end_of_line = [](int, void* to) { static_cast<Lines*>(to)->end_of_line(); };
  const std::size_t read = csv_parse(&parser, text.data(), text.size(), field, end_of_line, &lines);
  const bool is_read = read == text.size() && csv_fini(&parser, field, end_of_line, &lines) == 0;
  csv_free(&parser);
  if (!is_read) return lines.wrong("a quote is opened or closed in the middle", "as in RFC 4180");
  ASSIGN_OR_RETURN(map.meant, std::move(lines).take());
  return map;
}

}  // namespace whimbrel
