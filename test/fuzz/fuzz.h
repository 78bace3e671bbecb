// What the fuzz targets share. A target is one function that takes any bytes; it ends the program
// where a promise of the code under test is broken, and that is all it reports.
//
// The same file is linked with libFuzzer (fuzz.sh) or with replay.cpp (ctest).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace whimbrel::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

inline void demand(bool promise, const char* what, std::string_view first = "",
                   std::string_view second = "") {
  if (promise) return;
  std::fprintf(stderr, "broken: %s\n  %.*s\n  %.*s\n", what, static_cast<int>(first.size()),
               first.data(), static_cast<int>(second.size()), second.data());
  std::abort();
}

}  // namespace whimbrel::fuzz
