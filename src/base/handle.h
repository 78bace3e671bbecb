// Every handle of a C library is closed by its type.
#pragma once

namespace whimbrel {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* pointer) const noexcept {
    Free(pointer);
  }
};

}  // namespace whimbrel
