//! A check allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ops_core::guard::LocalLimiter;
use ops_core::model::{EndpointClass, LimitKey, LimitRequest, LimitTable};
use ops_core::ports::RateLimiter;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

#[derive(Debug)]
struct Counting;

#[expect(unsafe_code, reason = "an allocator is unsafe to write; this one only counts")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_check_of_a_known_caller_allocates_nothing_admitted_or_denied() {
    let limiter = LocalLimiter::new(LimitTable::preset()).unwrap();
    let request = LimitRequest::new(EndpointClass::Llm, LimitKey::user("org_a", "u1"));
    assert!(limiter.check(&request).is_admitted());
    let before = COUNT.get();
    let admitted = (0..200).filter(|_| limiter.check(&request).is_admitted()).count();
    assert_eq!((COUNT.get() - before, admitted), (0, 19));
}
