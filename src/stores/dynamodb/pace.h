// How fast a table may be read or written, in capacity units.
//
// The bucket of AWS's bulk executor: wait until the balance is positive, send, then pay what the
// reply says, so that the balance may go below zero and no item's price has to be guessed.
// Throttled by the table the rate falls by three tenths; it grows by a twentieth each five seconds
// without. Threads: any.
#pragma once

#include <mutex>

#include "base/clock.h"

namespace whimbrel::dynamodb {

class Pace {
 public:
  explicit Pace(Clock& clock) : clock_(clock) {}
  // At most this many units a second from now on; 0 for as many as there are.
  void limit(double units_per_s);
  // Waits until the next request may go.
  void wait();
  void pay(double units);
  void throttled();

 private:
  void refill();

  Clock& clock_;
  std::mutex mutex_;
  double limit_ = 0;  // as it was asked for
  double rate_ = 0;   // what is tried now; 0: unlimited
  double balance_ = 0;
  double paid_recently_ = 0;  // since `counted_`
  Milliseconds counted_{0};
  Milliseconds filled_{0};
  Milliseconds grown_{0};
};

}  // namespace whimbrel::dynamodb
