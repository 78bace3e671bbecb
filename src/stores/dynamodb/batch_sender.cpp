#include "stores/dynamodb/batch_sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.h"
#include "stores/dynamodb/item.h"
#include "stores/dynamodb/units.h"

namespace whimbrel::dynamodb {

namespace ondemand = simdjson::ondemand;

namespace {

constexpr std::size_t puts_per_batch = 25;  // of BatchWriteItem
constexpr std::size_t bytes_per_batch = std::size_t{8} << 20;
constexpr std::size_t requests_at_once = 16;
constexpr Milliseconds first_pause{50};
constexpr Milliseconds pause_max{5'000};
constexpr Milliseconds patience{600'000};

struct Said {
  std::vector<std::string> left_over;
  Units units;
};

Said read_reply(ondemand::parser& parser, std::string& body) {
  Said said;
  body.reserve(body.size() + simdjson::SIMDJSON_PADDING);
  ondemand::document document = parser.iterate(body.data(), body.size(), body.capacity());
  for (auto field : document.get_object()) {
    const std::string_view name = field.unescaped_key();
    if (name == "UnprocessedItems") {
      for (auto table : field.value().get_object()) {
        for (ondemand::object request : table.value().get_array()) {
          said.left_over.emplace_back(std::string_view(request.raw_json()));
        }
      }
    } else if (name == "ConsumedCapacity") {
      // One entry: a request is for one table.
      for (ondemand::object table : field.value().get_array()) said.units = units_of(table);
    }
  }
  return said;
}

}  // namespace

BatchSender::BatchSender(aws::Client& client, Pace& pace, Clock& clock, const TableSchema& table)
    : client_(client),
      pace_(pace),
      clock_(clock),
      random_(static_cast<std::uint64_t>(clock.precise().count())),
      table_(table) {}

void BatchSender::add(std::string request, const Row* key) {
  fresh_.push_back({std::move(request), key == nullptr ? std::nullopt : std::optional(*key)});
}

Status BatchSender::flush() {
  taken_at_ = clock_.monotonic();
  while (!fresh_.empty() || !put_off_.empty()) {
    pace_.wait();
    std::vector<Batch> wave = next_wave();
    TRY(wave.empty() ? wait_for_what_was_put_off() : send(std::move(wave)));
  }
  return {};
}

// What was put off and is due again, then what has not been sent yet; as much as the pace allows.
std::vector<BatchSender::Batch> BatchSender::next_wave() {
  auto room = static_cast<std::size_t>(
      pace_.items_max(static_cast<std::int64_t>(puts_per_batch * requests_at_once)));
  std::vector<Batch> wave;
  const auto is_due = [now = clock_.monotonic()](const Batch& batch) { return batch.due <= now; };
  while (wave.size() < requests_at_once && room > 0) {
    const auto due = std::ranges::find_if(put_off_, is_due);
    if (due == put_off_.end()) break;
    room -= std::min(room, due->requests.size());
    wave.push_back(std::move(*due));
    put_off_.erase(due);
  }
  while (wave.size() < requests_at_once && room > 0 && !fresh_.empty()) {
    Batch batch;
    std::size_t bytes = 0;
    while (!fresh_.empty() && batch.requests.size() < std::min(room, puts_per_batch)) {
      bytes += fresh_.front().json.size();
      if (bytes > bytes_per_batch && !batch.requests.empty()) break;
      batch.requests.push_back(std::move(fresh_.front()));
      fresh_.pop_front();
    }
    room -= batch.requests.size();
    wave.push_back(std::move(batch));
  }
  return wave;
}

Status BatchSender::send(std::vector<Batch> wave) {
  std::vector<aws::Call> calls;
  for (const Batch& batch : wave) {
    std::size_t bytes = table_.name.size() + 100;
    for (const Request& request : batch.requests) bytes += request.json.size() + 1;
    std::string body;
    body.reserve(bytes);
    body += "{\"RequestItems\":{" + in_quotes(table_.name) + ":[";
    for (std::size_t i = 0; i < batch.requests.size(); ++i) {
      if (i > 0) body += ',';
      body += batch.requests[i].json;
    }
    body += "]},\"ReturnConsumedCapacity\":\"INDEXES\"}";
    aws::Call& call = calls.emplace_back();
    call.operation = "BatchWriteItem";
    call.body = std::move(body);
    call.keeps_trying = false;
  }
  std::vector<Result<aws::Reply>> replies = client_.send(calls);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (!replies[i].ok()) return std::move(replies[i]).error();
    TRY(take(replies[i].value(), std::move(wave[i])));
  }
  return {};
}

// A batch that is refused as a whole is halved until the item that is to blame is alone.
Status BatchSender::take(aws::Reply& reply, Batch batch) {
  std::vector<Request>& requests = batch.requests;
  if (reply.throttled()) {
    put_off(std::move(requests), batch.tries);
    return {};
  }
  const bool may_be_one = reply.error == "ValidationException" || reply.status == 413;
  if (!reply.ok() && may_be_one && requests.size() > 1) {
    const auto middle = requests.begin() + std::ssize(requests) / 2;
    for (auto [begin, end] : {std::pair(requests.begin(), middle), {middle, requests.end()}}) {
      Batch& half = put_off_.emplace_back();
      half.requests.assign(std::make_move_iterator(begin), std::make_move_iterator(end));
    }
    return {};
  }
  if (!reply.ok()) {
    Error error = client_.to_error(reply, "BatchWriteItem");
    if (requests.size() > 1) return error;
    const std::string key =
        requests[0].key ? show(*requests[0].key) : key_shown(requests[0].json, table_.key);
    return std::move(error).within("writing the key " + key);
  }
  Said said;
  try {  // the library's own way to say that a reply is no JSON
    said = read_reply(parser_, reply.body);
  } catch (const simdjson::simdjson_error& failure) {
    return Error{ErrorCode::unavailable, std::string("a reply cannot be read: ") + failure.what()};
  }
  const std::size_t left_over = std::min(said.left_over.size(), requests.size());
  const std::size_t taken = requests.size() - left_over;
  pace_.pay(said.units, static_cast<std::int64_t>(taken),
            static_cast<double>(left_over) / static_cast<double>(requests.size()));
  if (taken > 0) taken_at_ = clock_.monotonic();
  if (said.left_over.empty()) return {};
  std::vector<Request> again;
  for (std::string& json : said.left_over) again.push_back({std::move(json), std::nullopt});
  put_off(std::move(again), taken > 0 ? 0 : batch.tries);
  return {};
}

void BatchSender::put_off(std::vector<Request> requests, int tries) {
  const Milliseconds most = std::min(first_pause * (1 << std::min(tries, 10)), pause_max);
  const Milliseconds pause(random_.below(most.count() + 1));
  put_off_.push_back({std::move(requests), tries + 1, clock_.monotonic() + pause});
}

Status BatchSender::wait_for_what_was_put_off() {
  const Milliseconds now = clock_.monotonic();
  if (now - taken_at_ > patience) {
    return Error{ErrorCode::unavailable,
                 fmt::format("{} takes no more writes: it has taken none for {}", table_.name,
                             to_duration_text(now - taken_at_)),
                 "raise its capacity, or say `limits: {wcu: …}`"};
  }
  const auto next = std::ranges::min_element(put_off_, {}, &Batch::due);
  clock_.sleep_for(std::clamp(next->due - now, Milliseconds(1), pause_max));
  return {};
}

}  // namespace whimbrel::dynamodb
