//! Looking through clean text allocates nothing, nor does a check of a limit.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ops_core::guard::LocalLimiter;
use ops_core::masking::Detector;
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
fn clean_text_costs_no_allocation() {
    let clean = "2026-01-02T03:04:05.678Z INFO worker 276 idle\n\
        {\"lvl\":\"INFO\",\"msg\":\"処理が完了しました\",\"n\":1234,\"id\":\"2f818398-e527-430c-bf94-86d9a00e8837\"}\n\
        受注番号931989244377を登録 1,234円\n\
        Moved to Production in Tokyo from Staging for Review\n\
        家庭の事情で休職します。診断結果：提出済み、症状は良し\n\
        {\"msg\":\"line\\nbreak \\u3000\"}\n";
    let text = clean.repeat(50);
    let detector = Detector::structured();
    // The room in which lines with escapes are read is made once for each thread.
    assert_eq!(detector.detect(&text), []);
    let before = COUNT.get();
    for _ in 0..10 {
        assert!(detector.detect(&text).is_empty());
        for line in text.lines() {
            assert!(detector.detect(line).is_empty());
        }
    }
    assert_eq!(COUNT.get() - before, 0);
}

#[test]
fn a_check_of_a_known_caller_allocates_nothing_admitted_or_denied() {
    let limiter = LocalLimiter::new(LimitTable::preset()).unwrap();
    let request = LimitRequest::new(EndpointClass::Llm, LimitKey::user("org_a", "u1"));
    assert!(limiter.check(&request).is_admitted());
    let before = COUNT.get();
    let admitted = (0..200).filter(|_| limiter.check(&request).is_admitted()).count();
    assert_eq!((COUNT.get() - before, admitted), (0, 19));
}
