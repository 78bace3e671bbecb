#include "value/moments.h"

#include <string_view>

namespace whimbrel {

std::string with_whole_zone(std::string moment) {
  constexpr std::size_t zone_length = std::string_view("+00").size();
  if (moment.find(':') == std::string::npos || moment.size() <= zone_length) return moment;
  const char sign = moment[moment.size() - zone_length];
  return sign == '+' || sign == '-' ? moment + ":00" : moment;
}

}  // namespace whimbrel
