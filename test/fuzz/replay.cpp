// Runs a fuzz target where there is no libFuzzer: every file of its corpus, then mutations of them
// in a fixed order until enough were tried or the time is up.
//
//   fuzz_plan LAST_INPUT CORPUS...    CORPUS: files, and folders of files
//
// LAST_INPUT holds the bytes under test, so that they are there when the program ends by a signal;
// it is removed when all went well.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "fuzz/fuzz.h"

namespace {

namespace fs = std::filesystem;

constexpr int mutations_max = 5000;
constexpr std::chrono::milliseconds time_max{3000};
constexpr std::size_t size_max = std::size_t{1} << 16;

std::vector<std::string> inputs_of(int argc, char** argv) {
  std::vector<fs::path> files;
  for (int i = 2; i < argc; ++i) {
    if (!fs::is_directory(argv[i])) files.emplace_back(argv[i]);
    if (!fs::is_directory(argv[i])) continue;
    for (const auto& entry : fs::directory_iterator(argv[i])) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::vector<std::string> inputs = {""};
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return inputs;
}

// Flips, puts in, takes out, doubles, and joins with another input.
class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& inputs) : inputs_(inputs) {}

  std::string next() {
    std::string input = inputs_[below(inputs_.size())];
    for (std::size_t left = 1 + below(4); left > 0; --left) change(input);
    if (input.size() > size_max) input.resize(size_max);
    return input;
  }

 private:
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  void change(std::string& input) {
    static constexpr std::string_view odd = "\0\xff\x80\x7f{}[]\"'\\:,#&*!|>%@`-?~$\n\t 0919.eE";
    const std::size_t at = below(input.size() + 1);
    const std::size_t length = below(std::min<std::size_t>(input.size() - at, 40) + 1);
    switch (below(7)) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        break;
      case 1:
        input.insert(at, 1, odd[below(odd.size())]);
        break;
      case 2:
        if (at < input.size()) input[at] = odd[below(odd.size())];
        break;
      case 3:
        input.erase(at, length);
        break;
      case 4:
        input.insert(below(input.size() + 1), input.substr(at, length));
        break;
      case 5: {
        const std::string& other = inputs_[below(inputs_.size())];
        const std::size_t from = below(other.size() + 1);
        input.insert(at, other.substr(from, below(60)));
        break;
      }
      default:
        input.resize(at);
    }
  }

  const std::vector<std::string>& inputs_;
  std::mt19937_64 random_{20261121};
};

class LastInput {
 public:
  explicit LastInput(const char* path)
      : path_(path), file_(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {}
  ~LastInput() {
    close(file_);
    fs::remove(path_);
  }
  LastInput(const LastInput&) = delete;
  LastInput& operator=(const LastInput&) = delete;

  bool ok() const { return file_ >= 0; }
  void run(const std::string& input) const {
    const bool noted = ftruncate(file_, 0) == 0 &&
                       pwrite(file_, input.data(), input.size(), 0) == std::ssize(input);
    whimbrel::fuzz::demand(noted, "the input could not be written down");
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  }

 private:
  fs::path path_;
  int file_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s LAST_INPUT CORPUS...\n", argv[0]);
    return 2;
  }
  const std::vector<std::string> inputs = inputs_of(argc, argv);
  const LastInput last(argv[1]);
  if (!last.ok() || inputs.size() < 2) {
    std::fprintf(stderr, "no corpus, or %s cannot be written\n", argv[1]);
    return 2;
  }
  std::fprintf(stderr, "%zu inputs; the one under test is in %s\n", inputs.size(), argv[1]);
  for (const std::string& input : inputs) last.run(input);
  const auto end = std::chrono::steady_clock::now() + time_max;
  Mutator mutator(inputs);
  int tried = 0;
  while (tried < mutations_max && std::chrono::steady_clock::now() < end) {
    last.run(mutator.next());
    ++tried;
  }
  std::fprintf(stderr, "%d mutations\n", tried);
  return 0;
}
