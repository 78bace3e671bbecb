#include "backup/row_lines.h"

#include <fmt/format.h>

#include "backup/gzip_lines.h"
#include "backup/zstd_lines.h"

namespace whimbrel {

namespace {

class HexWriter final : public RowWriter {
 public:
  explicit HexWriter(std::unique_ptr<ZstdLinesWriter> lines) : lines_(std::move(lines)) {}
  Status write(const Row&, const std::string& canonical_row) override {
    return lines_->write_hex(canonical_row);
  }
  Result<std::string> finish() override { return lines_->finish(); }

 private:
  std::unique_ptr<ZstdLinesWriter> lines_;
};

class HexReader final : public RowReader {
 public:
  explicit HexReader(std::unique_ptr<ZstdLinesReader> lines) : lines_(std::move(lines)) {}
  Result<std::optional<Row>> next() override {
    ASSIGN_OR_RETURN(const std::optional<std::string> canonical_row, lines_->next_hex());
    if (!canonical_row) return std::optional<Row>();
    Result<Row> row = row_from_canonical(*canonical_row);
    return std::optional(row.ok() ? std::move(row).value() : Row());
  }
  std::string digest() const override { return lines_->digest(); }

 private:
  std::unique_ptr<ZstdLinesReader> lines_;
};

class TextWriter final : public RowWriter {
 public:
  TextWriter(std::unique_ptr<GzipLinesWriter> lines, std::unique_ptr<RowText> text)
      : lines_(std::move(lines)), text_(std::move(text)) {}
  Status write(const Row& row, const std::string&) override {
    ASSIGN_OR_RETURN(const std::string line, text_->line(row));
    return lines_->write(line);
  }
  Result<std::string> finish() override { return lines_->finish(); }
  std::string md5() const override { return lines_->md5(); }

 private:
  std::unique_ptr<GzipLinesWriter> lines_;
  std::unique_ptr<RowText> text_;
};

class TextReader final : public RowReader {
 public:
  TextReader(std::unique_ptr<GzipLinesReader> lines, std::unique_ptr<RowText> text)
      : lines_(std::move(lines)), text_(std::move(text)) {}
  Result<std::optional<Row>> next() override {
    ASSIGN_OR_RETURN(const std::optional<std::string> line, lines_->next());
    if (!line) return std::optional<Row>();
    Result<Row> row = text_->row(*line);
    return std::optional(row.ok() ? std::move(row).value() : Row());
  }
  std::string digest() const override { return lines_->digest(); }

 private:
  std::unique_ptr<GzipLinesReader> lines_;
  std::unique_ptr<RowText> text_;
};

}  // namespace

Result<std::unique_ptr<RowWriter>> write_rows_to(Depot& depot, const std::string& file,
                                                 std::unique_ptr<RowText> text) {
  if (text == nullptr) {
    ASSIGN_OR_RETURN(auto lines, ZstdLinesWriter::create(depot, file));
    return std::unique_ptr<RowWriter>(std::make_unique<HexWriter>(std::move(lines)));
  }
  ASSIGN_OR_RETURN(auto lines, GzipLinesWriter::create(depot, file));
  return std::unique_ptr<RowWriter>(
      std::make_unique<TextWriter>(std::move(lines), std::move(text)));
}

Result<std::unique_ptr<RowReader>> read_rows_from(Depot& depot, const std::string& file,
                                                  std::unique_ptr<RowText> text) {
  if (text == nullptr) {
    ASSIGN_OR_RETURN(auto lines, ZstdLinesReader::open(depot, file));
    return std::unique_ptr<RowReader>(std::make_unique<HexReader>(std::move(lines)));
  }
  ASSIGN_OR_RETURN(auto lines, GzipLinesReader::open(depot, file));
  return std::unique_ptr<RowReader>(
      std::make_unique<TextReader>(std::move(lines), std::move(text)));
}

}  // namespace whimbrel
