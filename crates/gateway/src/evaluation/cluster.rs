//! Prompts that are alike: average-link clusters by the cosine of the router's own vectors. Equal input, equal clusters.

use std::collections::{BTreeMap, BTreeSet};

use waypost_routing::preference::embedded::embed;

/// More prompts than this are thinned out evenly: the work grows with their square.
pub const MOST: usize = 3000;
/// Words of a name.
const NAME_WORDS: usize = 2;
/// Words of a description.
const DESCRIPTION_WORDS: usize = 8;

/// Prompts that are alike.
#[derive(Debug, PartialEq)]
pub struct Cluster {
    /// Their indices, the most typical first.
    pub members: Vec<usize>,
    /// Words that they have and the others do not, the most distinctive first.
    pub words: Vec<String>,
}

impl Cluster {
    /// A name from the most distinctive words.
    #[must_use]
    pub fn name(&self) -> String {
        self.words.iter().take(NAME_WORDS).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// A description from them.
    #[must_use]
    pub fn description(&self) -> String {
        self.words.iter().take(DESCRIPTION_WORDS).map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// Clusters of at least `least` prompts whose mean likeness is at least `likeness`, the largest first.
#[must_use]
pub fn clusters(prompts: &[String], likeness: f32, least: usize) -> Vec<Cluster> {
    let vectors: Vec<Vec<f32>> = prompts.iter().map(|prompt| embed(prompt)).collect();
    let mut groups = average_link(&vectors, likeness);
    groups.retain(|group| group.len() >= least.max(1));
    groups.sort_by_key(|group| (std::cmp::Reverse(group.len()), group.first().copied()));
    let words: Vec<BTreeSet<String>> = prompts.iter().map(|prompt| words(prompt)).collect();
    let mut everywhere: BTreeMap<&str, usize> = BTreeMap::new();
    words.iter().flatten().for_each(|word| *everywhere.entry(word).or_default() += 1);
    groups
        .into_iter()
        .map(|mut members| {
            let centre = sum(&members, &vectors);
            let typical = |member: &usize| vectors.get(*member).map_or(0.0, |vector| dot(vector, &centre));
            members.sort_by(|a, b| typical(b).total_cmp(&typical(a)).then(a.cmp(b)));
            Cluster { words: distinctive(&members, &words, &everywhere), members }
        })
        // Words of any request are the name of no route.
        .filter(|cluster| !cluster.words.is_empty())
        .collect()
}

/// A group of vectors and their sum: the mean cosine of two groups is the dot product of their sums over their sizes.
#[derive(Debug)]
struct Group {
    members: Vec<usize>,
    sum: Vec<f32>,
}

/// Merges pairs that are each other's nearest while they are alike. A merged pair is never nearer to a third than its
/// nearer half was, so the order of merges does not matter, and a group without a near neighbour is done. The search
/// walks from neighbour to nearest neighbour; what it has walked stays true when the end of it merges.
fn average_link(vectors: &[Vec<f32>], likeness: f32) -> Vec<Vec<usize>> {
    let group =
        |(index, vector): (usize, &Vec<f32>)| Some(Group { members: vec![index], sum: vector.clone() });
    let mut slots: Vec<Option<Group>> = vectors.iter().enumerate().map(group).collect();
    let mut done = Vec::new();
    let mut chain: Vec<usize> = Vec::new();
    let mut start = 0;
    loop {
        let Some(&last) = chain.last() else {
            match slots.iter().skip(start).position(Option::is_some) {
                Some(open) => start += open,
                None => break,
            }
            chain.push(start);
            continue;
        };
        match nearest(&slots, last).filter(|(_, alike)| *alike >= likeness) {
            // Each other's nearest; equal distances can lead further back.
            Some((neighbour, _)) if chain.contains(&neighbour) => {
                merge(&mut slots, last, neighbour);
                let known = chain.iter().position(|slot| *slot == neighbour).unwrap_or_default();
                chain.truncate(known);
            }
            Some((neighbour, _)) => chain.push(neighbour),
            None => {
                done.extend(slots.get_mut(last).and_then(Option::take).map(|group| group.members));
                chain.pop();
            }
        }
    }
    done.iter_mut().for_each(|members| members.sort_unstable());
    done
}

/// Puts both into the later slot's place, so that a search from the front meets what is left.
fn merge(slots: &mut [Option<Group>], a: usize, b: usize) {
    let Some(taken) = slots.get_mut(a.min(b)).and_then(Option::take) else { return };
    if let Some(Some(kept)) = slots.get_mut(a.max(b)) {
        kept.members.extend(taken.members);
        kept.sum.iter_mut().zip(&taken.sum).for_each(|(sum, value)| *sum += value);
    }
}

/// The most alike other group; of equals the one with the earliest member.
fn nearest(slots: &[Option<Group>], of: usize) -> Option<(usize, f32)> {
    let group = slots.get(of)?.as_ref()?;
    let mut best: Option<(usize, f32, usize)> = None;
    for (slot, other) in slots.iter().enumerate() {
        let Some(other) = other.as_ref().filter(|_| slot != of) else { continue };
        #[expect(clippy::cast_precision_loss, reason = "numbers of prompts")]
        let alike = dot(&group.sum, &other.sum) / (group.members.len() as f32 * other.members.len() as f32);
        let first = other.members.iter().copied().min().unwrap_or_default();
        let nearer = |(_, known, known_first): (usize, f32, usize)| {
            alike > known || (alike.total_cmp(&known).is_eq() && first < known_first)
        };
        if best.is_none_or(nearer) {
            best = Some((slot, alike, first));
        }
    }
    best.map(|(slot, alike, _)| (slot, alike))
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sum(members: &[usize], vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut sum: Vec<f32> = Vec::new();
    for vector in members.iter().filter_map(|member| vectors.get(*member)) {
        sum.resize(vector.len(), 0.0);
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
    }
    sum
}

/// Words by how many of the group's prompts have them and how few of the others do.
fn distinctive(
    members: &[usize],
    words: &[BTreeSet<String>],
    everywhere: &BTreeMap<&str, usize>,
) -> Vec<String> {
    let mut here: BTreeMap<&str, usize> = BTreeMap::new();
    for member in members {
        words.get(*member).into_iter().flatten().for_each(|word| *here.entry(word).or_default() += 1);
    }
    #[expect(clippy::cast_precision_loss, reason = "numbers of prompts")]
    let weight = |word: &str, count: usize| {
        let all = everywhere.get(word).copied().unwrap_or(1) as f64;
        count as f64 * (1.0 + words.len() as f64 / all).ln() * (count as f64 / all).sqrt()
    };
    // A word of a single prompt says something about that prompt only; where they share none, it has to do.
    let is_shared = |count: usize| count > 1 || members.len() == 1;
    let has_shared = here.values().any(|count| is_shared(*count));
    let shared = here.into_iter().filter(|(_, count)| !has_shared || is_shared(*count));
    let mut weighted: Vec<(f64, &str)> = shared.map(|(word, count)| (weight(word, count), word)).collect();
    weighted.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let mut chosen: Vec<String> = Vec::new();
    for (_, word) in weighted {
        // "visa" and "visas" are one word.
        let stem = |word: &str| word.chars().take(5).collect::<String>();
        if !chosen.iter().any(|known| stem(known) == stem(word)) {
            chosen.push(word.to_owned());
        }
    }
    chosen
}

/// The words of a prompt that carry meaning.
fn words(prompt: &str) -> BTreeSet<String> {
    let words = prompt.split(|character: char| !character.is_alphanumeric()).map(str::to_lowercase);
    words.filter(|word| word.chars().count() > 2 && !COMMON.contains(&word.as_str())).take(200).collect()
}

/// Words of any request.
const COMMON: &[&str] = &[
    "the", "and", "for", "with", "that", "this", "these", "those", "from", "into", "about", "are", "was",
    "were", "has", "have", "had", "does", "did", "can", "could", "would", "should", "will", "may", "what",
    "which", "who", "how", "when", "where", "why", "you", "your", "mine", "our", "their", "his", "her",
    "its", "they", "them", "not", "but", "any", "all", "some", "there", "here", "please", "want", "need",
    "know", "tell", "give", "get", "let", "like", "just", "also", "than", "then", "now", "make", "use",
    "using", "much", "many", "more", "most", "out", "off", "one", "two", "way", "help", "don", "isn",
    "what's", "thanks", "thank", "hello", "see", "say", "got", "too", "very", "been", "being", "over",
    "after", "before", "write", "explain", "find", "show", "look", "looking", "going", "think", "really",
    "im",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_that_are_alike_come_together() {
        let prompts: Vec<String> = [
            "Which visa do I need for Japan?",
            "How do I bake sourdough bread?",
            "Do I need a visa to travel to Brazil?",
            "My sourdough bread does not rise",
            "How long is a tourist visa for India valid?",
            "What flour is best for sourdough bread?",
            "Quantum chromodynamics",
        ]
        .map(str::to_owned)
        .to_vec();
        let found = clusters(&prompts, 0.3, 2);
        let mut members: Vec<Vec<usize>> = found.iter().map(|cluster| cluster.members.clone()).collect();
        members.iter_mut().for_each(|members| members.sort_unstable());
        assert_eq!(members, [[0, 2, 4], [1, 3, 5]]);
        assert_eq!(found[0].words.first().map(String::as_str), Some("visa"));
        assert!(
            found[1].name().contains("sourdough") && found[1].description().contains("bread"),
            "{found:?}"
        );
        assert_eq!(found, clusters(&prompts, 0.3, 2));
        assert_eq!(clusters(&[], 0.3, 2), []);
    }

    #[test]
    fn every_cluster_has_a_name() {
        let prompts = ["How are you?", "What is it?", "Where do visas go"].map(str::to_owned);
        let found = clusters(&prompts, 0.95, 1);
        assert_eq!(found.iter().map(Cluster::name).collect::<Vec<_>>(), ["visas"], "{found:?}");
        // Alike by their letters, without a word in common.
        let prompts = ["sourdoughbread", "sourdoughbreads"].map(str::to_owned);
        assert!(clusters(&prompts, 0.3, 2).iter().all(|cluster| !cluster.name().is_empty()));
    }

    #[test]
    fn equal_prompts_do_not_lead_in_a_circle() {
        let prompts = vec!["the same words".to_owned(); 9];
        let found = clusters(&prompts, 0.5, 2);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].members, (0..9).collect::<Vec<_>>());
    }
}
