#include "backup/gzip_lines.h"

#include <fmt/format.h>

namespace whimbrel {

namespace {

constexpr std::size_t piece_bytes = std::size_t{64} << 10;
constexpr int gzip_window = 15 + 16;  // zlib's way to ask for gzip's header and end

Bytef* bytes_of(std::vector<char>& buffer) { return reinterpret_cast<Bytef*>(buffer.data()); }
Bytef* bytes_of(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // NOLINT: zlib only reads it
}

}  // namespace

GzipLinesWriter::GzipLinesWriter(std::unique_ptr<FileSink> file)
    : file_(std::move(file)), md5_(EVP_md5()), compressed_(piece_bytes) {
  const int begun =
      deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY);
  assert_always(begun == Z_OK, "there is no memory for compression");
}

GzipLinesWriter::~GzipLinesWriter() { deflateEnd(&stream_); }

Result<std::unique_ptr<GzipLinesWriter>> GzipLinesWriter::create(Depot& depot,
                                                                 const std::string& file) {
  ASSIGN_OR_RETURN(auto sink, depot.create(file));
  return std::unique_ptr<GzipLinesWriter>(new GzipLinesWriter(std::move(sink)));
}

Status GzipLinesWriter::compress(std::string_view text, int mode) {
  while (true) {
    const std::string_view piece = text.substr(0, piece_bytes);
    text.remove_prefix(piece.size());
    const int now = text.empty() ? mode : Z_NO_FLUSH;
    stream_.next_in = bytes_of(piece);
    stream_.avail_in = static_cast<uInt>(piece.size());
    int outcome = Z_OK;
    do {
      stream_.next_out = bytes_of(compressed_);
      stream_.avail_out = static_cast<uInt>(compressed_.size());
      outcome = deflate(&stream_, now);
      const std::string_view made(compressed_.data(), compressed_.size() - stream_.avail_out);
      md5_.add(made);
      TRY(file_->write(made));
    } while (stream_.avail_out == 0 || (now == Z_FINISH && outcome == Z_OK));
    if (text.empty()) return {};
  }
}

Status GzipLinesWriter::write(std::string_view line) {
  if (line.find('\n') != std::string_view::npos) {
    return Error{ErrorCode::internal, "a line with a newline inside would be read back as two"};
  }
  TRY(compress(line, Z_NO_FLUSH));
  return compress("\n", Z_NO_FLUSH);
}

Result<std::string> GzipLinesWriter::finish() {
  TRY(compress("", Z_FINISH));
  return file_->finish();
}

GzipLinesReader::GzipLinesReader(std::string path, std::unique_ptr<FileSource> file)
    : path_(std::move(path)), file_(std::move(file)), compressed_(piece_bytes), text_(piece_bytes) {
  stream_.avail_out = static_cast<uInt>(text_.size());
  const int begun = inflateInit2(&stream_, gzip_window);
  assert_always(begun == Z_OK, "there is no memory for decompression");
}

GzipLinesReader::~GzipLinesReader() { inflateEnd(&stream_); }

Result<std::unique_ptr<GzipLinesReader>> GzipLinesReader::open(Depot& depot,
                                                               const std::string& file) {
  ASSIGN_OR_RETURN(auto source, depot.open(file));
  return std::unique_ptr<GzipLinesReader>(
      new GzipLinesReader(depot.path_of(file), std::move(source)));
}

Error GzipLinesReader::damaged(std::string_view how) const {
  return Error{ErrorCode::data_mismatch, fmt::format("{} is damaged: {}", path_, how)};
}

// False when there is no more text.
Result<bool> GzipLinesReader::refill() {
  while (true) {
    const bool has_more = stream_.avail_out == 0 && !ended_;  // of what it has taken in
    if (stream_.avail_in == 0 && !has_more) {
      ASSIGN_OR_RETURN(const std::int64_t count, file_->read(compressed_));
      if (count == 0 && ended_) return false;
      if (count == 0) return damaged("its end is missing");
      stream_.next_in = bytes_of(compressed_);
      stream_.avail_in = static_cast<uInt>(count);
    }
    if (ended_) return damaged("it goes on behind its end");
    stream_.next_out = bytes_of(text_);
    stream_.avail_out = static_cast<uInt>(text_.size());
    const int outcome = inflate(&stream_, Z_NO_FLUSH);
    ended_ = outcome == Z_STREAM_END;
    if (outcome != Z_OK && outcome != Z_BUF_ERROR && !ended_) {
      return damaged(stream_.msg != nullptr ? stream_.msg : "it is no gzip");
    }
    rest_ = {text_.data(), text_.size() - stream_.avail_out};
    if (!rest_.empty()) return true;
  }
}

Result<std::optional<std::string>> GzipLinesReader::next() {
  std::string line;
  while (true) {
    const std::size_t length = rest_.find('\n');
    line += rest_.substr(0, length);
    if (length != std::string_view::npos) {
      rest_.remove_prefix(length + 1);
      return std::optional(std::move(line));
    }
    rest_ = {};
    ASSIGN_OR_RETURN(const bool more, refill());
    if (more) continue;
    if (!line.empty()) return damaged("it ends within a line");
    return std::optional<std::string>();
  }
}

}  // namespace whimbrel
