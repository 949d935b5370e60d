//! One look-up: from node to node towards a key.

use super::{Node, NodeId, Search};

/// Nodes that a look-up begins with.
pub(super) const START: usize = 8;

/// Nodes that are asked at most.
const MAX_TRIED: usize = 24;

/// Nodes that are asked at a time.
const AT_ONCE: usize = 4;

/// Only nodes that are nearer than the one at this place of the list are added to it.
const NEARER_THAN: usize = 3;

/// A look-up on its way.
#[derive(Clone, Debug)]
pub(super) struct Crawl {
    pub(super) target: NodeId,
    pub(super) force_nodes: bool,
    todo: Vec<Todo>,
    tried: Vec<Node>,
    running: usize,
    /// Who answered, and the values that it had.
    answers: Vec<(Node, Vec<Vec<u8>>)>,
    /// How many answers named nodes.
    with_nodes: usize,
}

/// A node to ask.
#[derive(Clone, Debug)]
pub(super) struct Todo {
    pub(super) node: Node,
    /// Who is to be asked first to have the node's NAT opened for us: who named it, unless that has done so already.
    pub(super) through: Option<Node>,
}

impl Crawl {
    pub(super) fn new(target: NodeId, force_nodes: bool, start: Vec<Node>) -> Self {
        let todo = start.into_iter();
        let todo = todo.map(|node| Todo {
            node,
            through: None,
        });
        Self {
            target,
            force_nodes,
            todo: todo.collect(),
            tried: Vec::new(),
            running: 0,
            answers: Vec::new(),
            with_nodes: 0,
        }
    }

    /// The next node to ask now; it counts as running until [`Crawl::ended`].
    pub(super) fn next(&mut self) -> Option<Todo> {
        let full = self.tried.len() >= MAX_TRIED || self.running >= AT_ONCE;
        if full || self.todo.is_empty() {
            return None;
        }
        let todo = self.todo.remove(0);
        self.tried.push(todo.node.clone());
        self.running += 1;
        Some(todo)
    }

    /// A node that was running has answered, or has not.
    pub(super) const fn ended(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Whether nothing runs and nothing is to be asked.
    pub(super) fn is_done(&self) -> bool {
        self.running == 0 && (self.tried.len() >= MAX_TRIED || self.todo.is_empty())
    }

    /// A node has answered with values, or with nodes, the first of which it has asked to open its NAT for us.
    pub(super) fn answered(&mut self, by: &Node, values: Vec<Vec<u8>>, nodes: Vec<Node>) {
        self.answers.push((by.clone(), values));
        self.with_nodes += usize::from(!nodes.is_empty());
        for (at, node) in nodes.into_iter().enumerate() {
            let through = (at > 0).then(|| by.clone());
            if self
                .tried
                .iter()
                .any(|tried| tried.info().key == node.info().key)
            {
                continue;
            }
            let distance = node.id().distance(&self.target);
            let last = self.todo.get(NEARER_THAN);
            if last.is_some_and(|last| distance > last.node.id().distance(&self.target)) {
                continue;
            }
            let mut todo = self.todo.iter_mut();
            let known = todo.find(|todo| todo.node.info().key == node.info().key);
            if let Some(known) = known {
                known.through = through;
                continue;
            }
            self.todo.push(Todo { node, through });
            let target = self.target;
            self.todo
                .sort_by_key(|todo| todo.node.id().distance(&target));
        }
    }

    /// The nodes that were asked, the nearest first.
    pub(super) fn nodes(&self) -> Vec<Node> {
        let mut nodes = self.tried.clone();
        nodes.sort_by_key(|node| node.id().distance(&self.target));
        nodes
    }

    /// How it went.
    pub(super) fn search(&self) -> Search {
        let with_values = self.answers.iter().filter(|(_, values)| !values.is_empty());
        Search {
            asked: self.tried.len(),
            answered: self.answers.len(),
            with_nodes: self.with_nodes,
            with_values: with_values.count(),
        }
    }

    /// The values that were found: first the first ones of each node, then the second ones, each once.
    pub(super) fn values(&self) -> Vec<Vec<u8>> {
        let longest = self.answers.iter().map(|(_, values)| values.len()).max();
        let mut found: Vec<Vec<u8>> = Vec::new();
        for at in 0..longest.unwrap_or(0) {
            for (_, values) in &self.answers {
                if let Some(value) = values.get(at)
                    && !found.contains(value)
                {
                    found.push(value.clone());
                }
            }
        }
        found
    }

    /// The node nearest to the key of those that had no values.
    pub(super) fn without_values(&self) -> Option<&Node> {
        let without = self.answers.iter().filter(|(_, values)| values.is_empty());
        let nodes = without.map(|(node, _)| node);
        nodes.min_by_key(|node| node.id().distance(&self.target))
    }
}
