// Sends BatchWriteItem requests, 25 items each, several at once, until nothing is left over.
//
// What the service leaves over, or throttles as a whole, waits by itself with growing pauses (full
// jitter, as AWS's "Exponential Backoff And Jitter" has it), and all else goes on: a hot key slows
// nobody but itself. Threads: one at a time.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "stores/dynamodb/pace.h"
#include "value/schema.h"
#include "value/value.h"

namespace whimbrel::dynamodb {

class BatchSender {
 public:
  BatchSender(aws::Client& client, Pace& pace, Clock& clock, const TableSchema& table);
  // `request`: {"PutRequest":…} or {"DeleteRequest":…}; `key` names it for a person, where
  // it is at hand. No two with the same key before a flush.
  void add(std::string request, const Row* key);
  // Everything that was added. `refused` names the first item that the service does not take,
  // `unavailable` when it took nothing at all for ten minutes.
  Status flush();

 private:
  struct Request {
    std::string json;
    std::optional<Row> key;
  };
  struct Batch {
    std::vector<Request> requests;
    int tries = 0;
    Milliseconds due{0};
  };
  std::vector<Batch> next_wave();
  Status send(std::vector<Batch> wave);
  Status take(aws::Reply& reply, Batch batch);
  void put_off(std::vector<Request> requests, int tries);
  Status wait_for_what_was_put_off();

  aws::Client& client_;
  Pace& pace_;
  Clock& clock_;
  Random random_;
  const TableSchema& table_;
  std::deque<Request> fresh_;
  std::vector<Batch> put_off_;
  Milliseconds taken_at_{0};  // when the service last took an item
  simdjson::ondemand::parser parser_;
};

}  // namespace whimbrel::dynamodb
