//! The time of every case, for eyes: `cargo bench --package benches`, with a part of a name to choose.

use benches::cases;
use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for case in cases() {
        criterion.bench_function(&case.name, |bencher| {
            let mut work = case.prepare();
            bencher.iter(&mut work);
        });
    }
    criterion.final_summary();
}
