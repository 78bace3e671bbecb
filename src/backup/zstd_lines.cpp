#include "backup/zstd_lines.h"

#include <fmt/format.h>

#include "backup/files.h"
#include "base/text.h"

namespace whimbrel {

namespace {

constexpr int compression_level = 3;

Error no_memory() {
  return Error{ErrorCode::unavailable, "there is no memory for compression",
               "end something else, then run again"};
}

}  // namespace

ZstdLinesWriter::ZstdLinesWriter(std::unique_ptr<FileSink> file, Context context)
    : file_(std::move(file)), context_(std::move(context)), compressed_(ZSTD_CStreamOutSize()) {}

Result<std::unique_ptr<ZstdLinesWriter>> ZstdLinesWriter::create(const std::string& path) {
  ASSIGN_OR_RETURN(auto file, PartFile::create(path));
  return over(std::move(file));
}

Result<std::unique_ptr<ZstdLinesWriter>> ZstdLinesWriter::create(Depot& depot,
                                                                 const std::string& file) {
  ASSIGN_OR_RETURN(auto sink, depot.create(file));
  return over(std::move(sink));
}

Result<std::unique_ptr<ZstdLinesWriter>> ZstdLinesWriter::over(std::unique_ptr<FileSink> file) {
  Context context(ZSTD_createCCtx());
  if (context == nullptr) return no_memory();
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, compression_level);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  return std::unique_ptr<ZstdLinesWriter>(new ZstdLinesWriter(std::move(file), std::move(context)));
}

Status ZstdLinesWriter::compress(std::string_view text, ZSTD_EndDirective mode) {
  ZSTD_inBuffer input{text.data(), text.size(), 0};
  while (true) {
    ZSTD_outBuffer output{compressed_.data(), compressed_.size(), 0};
    const std::size_t left = ZSTD_compressStream2(context_.get(), &output, &input, mode);
    if (ZSTD_isError(left) != 0) {
      return Error{ErrorCode::unavailable,
                   fmt::format("compression failed: {}", ZSTD_getErrorName(left))};
    }
    TRY(file_->write({compressed_.data(), output.pos}));
    if (mode == ZSTD_e_end ? left == 0 : input.pos == input.size) return {};
  }
}

Status ZstdLinesWriter::write(std::string_view line) {
  if (line.find('\n') != std::string_view::npos) {
    return Error{ErrorCode::internal, "a line with a newline inside would be read back as two"};
  }
  TRY(compress(line, ZSTD_e_continue));
  return compress("\n", ZSTD_e_continue);
}

Status ZstdLinesWriter::write_hex(std::string_view bytes) {
  constexpr std::size_t at_once = std::size_t{64} << 10;
  for (std::size_t at = 0; at < bytes.size(); at += at_once) {
    TRY(compress(to_hex(bytes.substr(at, at_once)), ZSTD_e_continue));
  }
  return compress("\n", ZSTD_e_continue);
}

Result<std::string> ZstdLinesWriter::finish() {
  TRY(compress("", ZSTD_e_end));
  return file_->finish();
}

ZstdLinesReader::ZstdLinesReader(std::string path, std::unique_ptr<FileSource> file,
                                 Context context)
    : path_(std::move(path)),
      file_(std::move(file)),
      context_(std::move(context)),
      compressed_(ZSTD_DStreamInSize()),
      text_(ZSTD_DStreamOutSize()) {}

Result<std::unique_ptr<ZstdLinesReader>> ZstdLinesReader::open(const std::string& path) {
  ASSIGN_OR_RETURN(auto file, FileReader::open(path));
  return over(path, std::move(file));
}

Result<std::unique_ptr<ZstdLinesReader>> ZstdLinesReader::open(Depot& depot,
                                                               const std::string& file) {
  ASSIGN_OR_RETURN(auto source, depot.open(file));
  return over(depot.path_of(file), std::move(source));
}

Result<std::unique_ptr<ZstdLinesReader>> ZstdLinesReader::over(const std::string& path,
                                                               std::unique_ptr<FileSource> file) {
  Context context(ZSTD_createDCtx());
  if (context == nullptr) return no_memory();
  return std::unique_ptr<ZstdLinesReader>(
      new ZstdLinesReader(path, std::move(file), std::move(context)));
}

Error ZstdLinesReader::damaged(std::string_view how) const {
  return Error{ErrorCode::data_mismatch, fmt::format("{} is damaged: {}", path_, how)};
}

// False when there is no more text.
Result<bool> ZstdLinesReader::refill() {
  while (true) {
    if (input_.pos == input_.size && !at_end_) {
      ASSIGN_OR_RETURN(const std::int64_t count, file_->read(compressed_));
      input_ = {compressed_.data(), static_cast<std::size_t>(count), 0};
      at_end_ = count == 0;
    }
    // Between frames the decoder must not be called without input: it would ask for a new frame.
    if (at_end_ && !inside_a_frame_) return false;
    ZSTD_outBuffer output{text_.data(), text_.size(), 0};
    const std::size_t left = ZSTD_decompressStream(context_.get(), &output, &input_);
    if (ZSTD_isError(left) != 0) return damaged(ZSTD_getErrorName(left));
    inside_a_frame_ = left != 0;
    rest_ = {text_.data(), output.pos};
    if (output.pos > 0) return true;
    if (at_end_ && inside_a_frame_) return damaged("its end is missing");
  }
}

// False after the last line. `use` gets the pieces of one line in order.
Result<bool> ZstdLinesReader::pieces(const std::function<Status(std::string_view)>& use) {
  bool any = false;
  while (true) {
    const std::size_t length = rest_.find('\n');
    const std::string_view piece = rest_.substr(0, length);
    any = any || !piece.empty();
    TRY(use(piece));
    if (length != std::string_view::npos) {
      rest_.remove_prefix(length + 1);
      return true;
    }
    ASSIGN_OR_RETURN(const bool more, refill());
    if (more) continue;
    rest_ = {};
    if (any) return damaged("it ends within a line");
    return false;
  }
}

Result<std::optional<std::string>> ZstdLinesReader::next() {
  std::string line;
  ASSIGN_OR_RETURN(const bool there, pieces([&](std::string_view piece) {
                     line += piece;
                     return Status();
                   }));
  return there ? std::optional(std::move(line)) : std::nullopt;
}

Result<std::optional<std::string>> ZstdLinesReader::next_hex() {
  std::string bytes;
  std::string half;  // a digit whose other half is in the next piece
  ASSIGN_OR_RETURN(const bool there, pieces([&](std::string_view piece) -> Status {
                     bool digits = true;
                     if (!half.empty() && !piece.empty()) {
                       digits = append_from_hex(bytes, half + piece.front());
                       half.clear();
                       piece.remove_prefix(1);
                     }
                     if (piece.size() % 2 != 0) {
                       half = piece.back();
                       piece.remove_suffix(1);
                     }
                     digits = append_from_hex(bytes, piece) && digits;
                     if (!digits) return damaged("it holds something else than hex digits");
                     return {};
                   }));
  if (!half.empty()) return damaged("a line has half a byte");
  return there ? std::optional(std::move(bytes)) : std::nullopt;
}

}  // namespace whimbrel
