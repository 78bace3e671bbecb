// The first lines of a report, in words that need no knowledge of whimbrel: what moved, how it
// ended, whether anything is lost, who serves now, and until when one can go back.
#pragma once

#include <string>
#include <vector>

#include "base/counted.h"
#include "report/facts.h"

namespace whimbrel {

struct Headline {
  enum class Tone { good, waiting, attention, bad };
  Tone tone = Tone::waiting;
  std::string word;  // "Switched over"
  std::string title;
  std::vector<std::string> sentences;
};

Headline headline(const ReportFacts& facts);
std::string who_serves(const ReportFacts& facts);
std::string way_back(const ReportFacts& facts);
// How long the copy was at work, pauses between runs left out.
Milliseconds copying_time(const ReportFacts& facts);

}  // namespace whimbrel
