mod answer;
mod ask;
mod forget;
