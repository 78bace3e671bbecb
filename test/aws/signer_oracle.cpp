// Signs what it is told, for a test that compares with another signer: one JSON object a line.
//
// In: method, url, headers, body (hexadecimal), region, service, s3, the credentials, and the
// moment in milliseconds. Out: the headers as they would be sent. One Signer for each region and
// service lives as long as the program, so that its kept key is a part of what is compared.
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>

#include "aws/client.h"
#include "aws/signer.h"

namespace whimbrel::aws {
namespace {

std::string from_hex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

using Signers = std::map<std::tuple<std::string, std::string, bool>, Signer>;

nlohmann::json sign(const nlohmann::json& asked, Signers& signers) {
  const std::string region = asked.at("region");
  const std::string service = asked.at("service");
  const bool s3 = asked.at("s3");
  const SigningRules rules = s3 ? s3_service().rules : dynamodb_service().rules;
  Signer& signer = signers.try_emplace({region, service, s3}, region, service, rules).first->second;
  HttpRequest request;
  request.method = asked.at("method");
  request.url = asked.at("url");
  request.headers = asked.at("headers").get<Headers>();
  request.body = from_hex(asked.at("body"));
  const Credentials credentials{asked.at("access_key"), asked.at("secret_key"),
                                asked.at("session_token"), std::nullopt};
  signer.sign(request, credentials, TimePoint(Milliseconds(asked.at("at").get<std::int64_t>())));
  return {{"headers", request.headers}, {"canonical", signer.canonical_request(request)}};
}

}  // namespace
}  // namespace whimbrel::aws

int main() {
  whimbrel::aws::Signers signers;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::cout << whimbrel::aws::sign(nlohmann::json::parse(line), signers).dump() << "\n";
  }
}
