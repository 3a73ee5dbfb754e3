"""Linear recurrent unit: a complex diagonal recurrence, read out by a complex matrix."""

from ricorso.equations import HORIZON, Cell, cosine, draws, exp, gates, inputs, log, parameters, products, sine, states

x_re, x_im = inputs("x_re x_im")
(y_re,), (y_im,) = gates("y_re"), products("y_im")
h, s_re, s_im = states("h s_re s_im")
nu, theta, gamma = parameters("nu theta gamma")
u, w = draws("u w")

radius = exp(-exp(nu))
re, im = radius * cosine(exp(theta)), radius * sine(exp(theta))

LRU = Cell(
    "lru",
    title="Linear recurrent unit",
    paper="Orvieto et al. 2023, arXiv:2303.06349; the input part of y_re is its D",
    gates=(x_re, x_im, y_re, y_im),
    states=(h, s_re, s_im),
    parameters=(nu, theta, gamma),
    product_of={y_re: s_re.new, y_im: s_im.new},
    update={
        s_re: re * s_re - im * s_im + exp(gamma) * x_re,
        s_im: im * s_re + re * s_im + exp(gamma) * x_im,
        h: y_re - y_im,
    },
    # eigenvalues on the ring between radius 0.9 and 0.999, any phase up to pi / 10
    start={nu: log(-log(0.81 + u * 0.188001) / 2), theta: log(0.314 * w), gamma: log(1 - exp(-2 * exp(nu))) / 2},
    # between 1 - 10 / horizon and 1 - 1 / horizon
    long_start={
        nu: log((1 + 9 * u) / HORIZON),
        theta: log(6.28 * w),
        gamma: log(1 - exp(-2 * exp(nu))) / 2,
    },
    recurrent_start="uniform",
)
