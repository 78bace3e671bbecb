// How fast a table and its indexes may be read or written, in capacity units.
//
// A bucket for the table and one for each index, in the way of AWS's bulk executor: wait until no
// balance is below zero, send, then pay what the reply says, so that no price has to be guessed.
// Requests are cut to what a quarter of a second allows, so that a low limit is no row of bursts.
// Where a part is refused, the rate becomes what went through: that is the capacity. If then no
// smaller part is refused, it is no matter of the rate (a hot key, say), and the rate goes back. It
// grows slowly near where it was cut, and fast elsewhere (as TCP CUBIC's does, RFC 9438).
// Threads: any.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "stores/dynamodb/units.h"

namespace whimbrel::dynamodb {

class Pace {
 public:
  explicit Pace(Clock& clock) : clock_(clock) {}
  // At most this many units a second from now on; 0 for as many as there are. `index`: "" is the
  // table.
  void limit(double units_per_s, const std::string& index = "");
  // Waits until the next requests may go.
  void wait();
  // How many items the next requests may read or write together, at least one.
  std::int64_t items_max(std::int64_t wanted);
  // What a request took. `left_over`: the part of its items that was not taken, from 0 to 1.
  void pay(const Units& units, std::int64_t items, double left_over = 0);
  // A request was refused by the table or this index.
  void throttled(const std::string& index = "");

 private:
  // What happened in half a second, or in as long as a few requests take.
  struct Window {
    Milliseconds since{0};
    Milliseconds seen{0};  // the last request
    Milliseconds busy{0};
    double units = 0;
    double taken = 0;  // requests, and parts of them
    double refused = 0;
  };
  struct Bucket {
    double limit = 0;  // as it was asked for
    double rate = 0;   // what is tried now; 0: unlimited
    double balance = 0;
    double per_item = 0;     // units, smoothed
    double per_request = 0;  // the same
    double ceiling = 0;      // what the rate was cut to last
    Milliseconds cut{0};
    // In a row; while there are any it does not grow.
    int cuts = 0;
    double rate_before = 0;   // the first of them
    double share_before = 0;  // of requests that were refused
    double share_in_vain = 0;
    Milliseconds vain_until{0};
    Milliseconds filled{0};
    Window window;
  };
  static void refill(Bucket& bucket, Milliseconds now);
  static void grow(Bucket& bucket, Milliseconds now, double seconds);
  static void judge(Bucket& bucket, Milliseconds now);
  static void pay(Bucket& bucket, Milliseconds now, double units, std::int64_t items,
                  double left_over);

  Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace whimbrel::dynamodb
