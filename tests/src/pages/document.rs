//! The parts of a Markdown file that can be checked.

use std::ops::Range;

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// The tag behind the fence.
    pub language: String,
    /// The number of its first line in the file.
    pub line: usize,
    /// What is between the fences.
    pub text: String,
}

/// A command with the output that is expected of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// For `sh`.
    pub command: String,
    /// Patterns, line by line.
    pub expected: Vec<String>,
}

const FENCE: &str = "```";
const PROMPT: &str = "$ ";

/// The fenced blocks in order.
pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in markdown.lines().enumerate() {
        match (line.strip_prefix(FENCE), open.as_mut()) {
            (Some(language), None) => {
                open = Some(Block { language: language.to_owned(), line: index + 2, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert_eq!(open, None, "a block without an end");
    blocks
}

/// The numbers of the lines from a heading to the next of its level or a higher one.
///
/// # Panics
/// If there is no such heading.
#[must_use]
pub fn lines_of_section(markdown: &str, heading: &str) -> Range<usize> {
    let level = level(heading).expect("a heading");
    let numbered = || (1..).zip(markdown.lines());
    let (begin, _) = numbered().find(|(_, line)| *line == heading).unwrap_or_else(|| panic!("no {heading:?}"));
    let mut in_block = false;
    let next = numbered().skip(begin).find(|(_, line)| {
        in_block ^= line.starts_with(FENCE);
        !in_block && self::level(line).is_some_and(|other| other <= level)
    });
    begin..next.map_or(usize::MAX, |(number, _)| number)
}

/// Of a heading: the number of its `#`.
fn level(line: &str) -> Option<usize> {
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    (level > 0 && title.starts_with(' ')).then_some(level)
}

/// Everything but the fenced blocks.
pub fn prose(markdown: &str) -> String {
    markdown.split(FENCE).step_by(2).collect()
}

/// The anchors of the headings, as GitHub makes them.
pub fn anchors(markdown: &str) -> Vec<String> {
    let prose = prose(markdown);
    let headings = prose.lines().filter(|line| level(line).is_some());
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|char| char.is_alphanumeric() || [' ', '-', '_'].contains(char));
        kept.map(|char| if char == ' ' { '-' } else { char }).collect()
    };
    headings.map(anchor).collect()
}

/// Where the links and images of a text point.
pub fn links(prose: &str) -> Vec<&str> {
    prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)).collect()
}

/// The words of a text that are set as code.
pub fn words_of_code(prose: &str) -> impl Iterator<Item = &str> {
    prose.split('`').skip(1).step_by(2).flat_map(|code| code.split([' ', '=']))
}

/// The commands of a `console` block.
pub fn steps(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block.text.lines() {
        match (line.strip_prefix(PROMPT), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.to_owned(), expected: Vec::new() }),
            (None, Some(step)) => step.expected.push(line.to_owned()),
            (None, None) => panic!("line {}: output without a command: {line}", block.line),
        }
    }
    assert!(!steps.is_empty(), "line {}: no command", block.line);
    steps
}

#[test]
fn the_parts_of_a_file_are_found() {
    let markdown = "a [b](c.md) `d/e`\n```console\n$ f\ng [h](i)\n$ j\n```\n![k](l#m)\n```yaml\nn: o\n```\n`p q=r/s`\n";
    let block = |language: &str, line, text: &str| Block { language: language.to_owned(), line, text: text.to_owned() };
    let found = blocks(markdown);
    assert_eq!(found, [block("console", 3, "$ f\ng [h](i)\n$ j\n"), block("yaml", 9, "n: o\n")]);
    let step = |command: &str, expected: &[&str]| Step {
        command: command.to_owned(),
        expected: expected.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(steps(&found[0]), [step("f", &["g [h](i)"]), step("j", &[])]);
    assert_eq!(lines_of_section("# a\n## b\nc\n### d\n## e\n", "## b"), 2..5);
    assert_eq!(lines_of_section("# a\n## b\nc\n### d\n## e\n", "### d"), 4..5);
    assert_eq!(lines_of_section("## b\nc\n", "## b"), 1..usize::MAX);
    assert_eq!(lines_of_section("## b\n```\n# c\n```\n#d\n# e\n", "## b"), 1..6);
    assert_eq!(anchors("# A b, `c-d`\n```\n# e\n```\n### F\n"), ["a-b-c-d", "f"]);
    let prose = prose(markdown);
    assert_eq!(links(&prose), ["c.md", "l#m"]);
    assert_eq!(words_of_code(&prose).collect::<Vec<_>>(), ["d/e", "p", "q", "r/s"]);
}
