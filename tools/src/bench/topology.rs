//! How far apart processors are: what the kernel says in `/sys`, in words.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Where the kernel lists processors and memory.
const SYSTEM: &str = "/sys/devices/system";

/// The processors of a run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Placement {
    /// What they share: `different cores, one L3 cache, one package, one NUMA node`.
    pub(super) relation: String,
    /// What chooses their frequency; "unknown" where the kernel does not say, as in most virtual
    /// machines.
    pub(super) governor: String,
    /// Half a round trip of the floor between them, in nanoseconds; absent where none was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) floor_ns: Option<f64>,
}

impl Placement {
    /// Of these processors.
    pub(super) fn of(cpus: [usize; 2]) -> Placement {
        Placement::below(Path::new(SYSTEM), cpus)
    }

    fn below(system: &Path, cpus: [usize; 2]) -> Placement {
        let each = cpus.map(|cpu| Processor { directory: system.join(format!("cpu/cpu{cpu}")) });
        let mut governors = each.each_ref().map(Processor::governor).to_vec();
        governors.dedup();
        Placement {
            relation: relation(system, cpus, &each),
            governor: governors.join(" and "),
            floor_ns: None,
        }
    }
}

struct Processor {
    directory: PathBuf,
}

impl Processor {
    fn read(&self, name: &str) -> Option<String> {
        read(&self.directory.join(name))
    }

    fn governor(&self) -> String {
        self.read("cpufreq/scaling_governor").unwrap_or_else(|| "unknown".to_owned())
    }

    /// The levels of the caches that are shared with this processor, the nearest first.
    fn shared_caches(&self, other: usize) -> Option<Vec<u32>> {
        let mut levels: Vec<u32> = (0..8)
            .filter_map(|index| {
                let of = |name: &str| self.read(&format!("cache/index{index}/{name}"));
                let shared = is_listed(&of("shared_cpu_list")?, other);
                (shared && of("type")? != "Instruction").then(|| of("level")?.parse().ok())?
            })
            .collect();
        levels.sort_unstable();
        self.read("cache/index0/shared_cpu_list").map(|_| levels)
    }
}

fn relation(system: &Path, cpus: [usize; 2], each: &[Processor; 2]) -> String {
    let [first, second] = each;
    if cpus[0] == cpus[1] {
        return "one processor".to_owned();
    }
    let siblings = first.read("topology/thread_siblings_list");
    let mut parts = Vec::new();
    match siblings {
        Some(list) if is_listed(&list, cpus[1]) => parts.push("two threads of one core".to_owned()),
        Some(_) => parts.push("different cores".to_owned()),
        None => {}
    }
    if let Some(levels) = first.shared_caches(cpus[1]) {
        parts.push(match levels.first() {
            Some(level) => format!("one L{level} cache"),
            None => "no cache in common".to_owned(),
        });
    }
    let package = |processor: &Processor| processor.read("topology/physical_package_id");
    if let (Some(one), Some(other)) = (package(first), package(second)) {
        parts.push(if one == other { "one package" } else { "different packages" }.to_owned());
    }
    let nodes = cpus.map(|cpu| node_of(system, cpu));
    if let [Some(one), Some(other)] = nodes {
        parts.push(if one == other { "one NUMA node" } else { "different NUMA nodes" }.to_owned());
    }
    if parts.is_empty() { "unknown".to_owned() } else { parts.join(", ") }
}

/// The number of the NUMA node that has this processor.
fn node_of(system: &Path, cpu: usize) -> Option<u32> {
    let nodes = fs::read_dir(system.join("node")).ok()?.flatten();
    nodes
        .filter_map(|node| {
            let number = node.file_name().to_str()?.strip_prefix("node")?.parse().ok()?;
            is_listed(&read(&node.path().join("cpulist"))?, cpu).then_some(number)
        })
        .min()
}

fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Whether a list such as `0-3,8` has this number.
fn is_listed(list: &str, number: usize) -> bool {
    list.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse(), last.trim().parse::<usize>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&number),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine of two packages with two cores each, of two threads.
    fn machine() -> tempfile::TempDir {
        let system = tempfile::tempdir().unwrap();
        let write = |path: String, text: String| {
            let path = system.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text + "\n").unwrap();
        };
        for cpu in 0..8 {
            let (core, package) = (cpu / 2 * 2, cpu / 4);
            let here = format!("cpu/cpu{cpu}");
            let (pair, four) =
                (format!("{core}-{}", core + 1), format!("{}-{}", package * 4, package * 4 + 3));
            write(format!("{here}/topology/thread_siblings_list"), pair.clone());
            write(format!("{here}/topology/physical_package_id"), package.to_string());
            write(
                format!("{here}/cpufreq/scaling_governor"),
                ["performance", "powersave"][package].to_owned(),
            );
            let caches =
                [("1", "Data", &pair), ("1", "Instruction", &four), ("3", "Unified", &four)];
            for (index, (level, kind, list)) in caches.into_iter().enumerate() {
                let cache = format!("{here}/cache/index{index}");
                write(format!("{cache}/level"), level.to_owned());
                write(format!("{cache}/type"), kind.to_owned());
                write(format!("{cache}/shared_cpu_list"), list.clone());
            }
        }
        write("node/node0/cpulist".to_owned(), "0-3".to_owned());
        write("node/node1/cpulist".to_owned(), "4-7".to_owned());
        system
    }

    #[test]
    fn processors_are_told_apart() {
        let machine = machine();
        for (cpus, relation, governor) in [
            ([2, 2], "one processor", "performance"),
            (
                [0, 1],
                "two threads of one core, one L1 cache, one package, one NUMA node",
                "performance",
            ),
            ([0, 2], "different cores, one L3 cache, one package, one NUMA node", "performance"),
            (
                [0, 4],
                "different cores, no cache in common, different packages, different NUMA nodes",
                "performance and powersave",
            ),
        ] {
            let placement = Placement::below(machine.path(), cpus);
            assert_eq!((&*placement.relation, &*placement.governor), (relation, governor));
        }
    }

    #[test]
    fn what_the_kernel_does_not_say_is_unknown() {
        let nothing = tempfile::tempdir().unwrap();
        let placement = Placement::below(nothing.path(), [0, 1]);
        assert_eq!((&*placement.relation, &*placement.governor), ("unknown", "unknown"));
    }

    #[test]
    fn lists_of_processors() {
        assert!(is_listed("0-3,8", 8) && is_listed("0-3,8", 2) && is_listed("5", 5));
        assert!(!is_listed("0-3,8", 5) && !is_listed("", 0) && !is_listed("a-b", 0));
    }
}
