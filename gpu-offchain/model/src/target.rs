//! The seven linear modules of a decoder layer.

/// A linear module of a decoder layer; the names are Hugging Face's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Target {
    /// Queries.
    #[serde(rename = "q_proj")]
    Q,
    /// Keys.
    #[serde(rename = "k_proj")]
    K,
    /// Values.
    #[serde(rename = "v_proj")]
    V,
    /// The output of attention.
    #[serde(rename = "o_proj")]
    O,
    /// The gate of the hidden layer.
    #[serde(rename = "gate_proj")]
    Gate,
    /// The gated half of the hidden layer.
    #[serde(rename = "up_proj")]
    Up,
    /// Back to the residual stream.
    #[serde(rename = "down_proj")]
    Down,
}

impl Target {
    /// All seven, in the order of the forward pass.
    pub const ALL: [Target; 7] = [
        Target::Q,
        Target::K,
        Target::V,
        Target::O,
        Target::Gate,
        Target::Up,
        Target::Down,
    ];

    /// The module's name within its layer part, such as `q_proj`.
    pub fn hf_name(self) -> &'static str {
        match self {
            Target::Q => "q_proj",
            Target::K => "k_proj",
            Target::V => "v_proj",
            Target::O => "o_proj",
            Target::Gate => "gate_proj",
            Target::Up => "up_proj",
            Target::Down => "down_proj",
        }
    }

    /// The module with this name, if it is one of the seven.
    pub fn from_hf_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.hf_name() == name)
    }

    /// The module's full name, such as `model.layers.0.self_attn.q_proj`.
    pub fn full_name(self, layer: usize) -> String {
        let part = match self {
            Target::Q | Target::K | Target::V | Target::O => "self_attn",
            Target::Gate | Target::Up | Target::Down => "mlp",
        };
        format!("model.layers.{layer}.{part}.{}", self.hf_name())
    }

    /// The layer and module a full name speaks of.
    pub fn parse_full_name(name: &str) -> Option<(usize, Self)> {
        let mut parts = name.strip_prefix("model.layers.")?.splitn(2, '.');
        let layer: usize = parts.next()?.parse().ok()?;
        let target = Self::from_hf_name(parts.next()?.rsplit('.').next()?)?;
        (target.full_name(layer) == name).then_some((layer, target))
    }

    /// Its place in [`Target::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    pub(crate) fn has_qkv_bias(self) -> bool {
        matches!(self, Target::Q | Target::K | Target::V)
    }
}
