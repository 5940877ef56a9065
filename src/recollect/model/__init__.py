"""The model room: what a language model computes from prompt trees."""
