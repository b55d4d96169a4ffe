//! The promise of the first example: what it adds to a service is small.

#[test]
fn the_first_emergency_stop_is_added_in_at_most_thirty_lines() {
    let source = include_str!("../emergency_stop.rs");
    let mut inside = false;
    let mut added = 0;
    for line in source.lines().map(str::trim) {
        match line {
            "// [" => inside = true,
            "// ]" => inside = false,
            _ if inside && !line.is_empty() => added += 1,
            _ => {}
        }
    }
    assert!((10..=30).contains(&added), "{added} lines");
}
