"""The words that people write beside losses, parameters and data, in lower case.

What else a loss may be called is one word more here. Besides English the commonest words of some other languages.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- beside a loss ------------------------------------------------------------------------------------------

LOSS = _words(
    """
    loss losses error errors err sse mse rmse mae mape ssr rss msd mad objective cost costs penalty deviance nll
    entropy crossentropy residual residuals deviation deviations difference differences distance misfit discrepancy
    chi chisq chi2 χ² regret waste risk variance volatility minimize minimise energy
    verlust fehler kosten abweichung perte erreur coût coûts écart pérdida coste costo perdita errore
    """
)
"""What is to become small."""

GAIN = _words(
    """
    profit profits revenue likelihood loglikelihood loglik ll lnl logl npv utility sharpe gain gains contribution
    payoff welfare surplus score fitness maximize maximise
    gewinn ertrag nutzen bénéfice gain beneficio ganancia profitto
    """
)
"""What is to become large."""

NEGATIVE = _words("negative neg minus nll")
"""Turns a likelihood into a loss."""

SQUARE = _words("square squares squared sq ²")
NEUTRAL = _words("total sum overall target summe gesamt somme suma totale")

OTHER = _words(
    """
    accuracy accurate correct count counts n number average mean median avg max min maximum minimum percent rank
    check date year r2 r² rsq adjusted significance df f t p intercept slope standard
    """
)
"""What is calculated beside a loss."""

R_SQUARED = frozenset(("r", "squared"))
VETO = _words("gradient gradients derivative slope step next delta update ∂ new old best")
"""What is calculated from a loss, or in place of training."""

# --- beside numbers -----------------------------------------------------------------------------------------

PARAMETER = _words(
    """
    weight weights w bias biases b slope intercept coefficient coefficients coef coeff beta theta param params
    parameter parameters alpha gamma kappa lambda mu omega sigma phi guess start initial estimate estimates
    estimated fitted variable variables decision decisions changing adjustable unknown unknowns level trend
    seasonal smoothing embedding embeddings kernel filter filters units quantity quantities qty produce produced
    production make order orders ship shipped shipment invest invested allocation allocate allocated share shares
    proportion proportions fraction fractions mix plan amount amounts bet bets hours rating ratings factor factors
    w0 w1 w2 w3 b0 b1 b2 b3 b4 b5 a0 a1 a2 a3 c0 c1 c2 beta0 beta1 beta2 beta3 theta0 theta1 theta2 p q m vmax km
    rmax ka kd tau nu rate rates volatility vol radius height width
    gewicht gewichte steigung achsenabschnitt koeffizient koeffizienten menge poids pente coefficient coefficients
    quantité peso pesos pendiente coeficiente coeficientes cantidad
    """
)
"""What training may change."""

DATA = _words(
    """
    x y x1 x2 t time date dates year years month months day days week quarter period obs observation observations
    observed actual actuals target targets label labels data measured measurement measurements sample samples
    input inputs id index row no number age price prices demand capacity capacities available availability
    required requirement requirements supply limit limits maximum minimum max min salary sales temperature risk
    income expected known given free historical history returns return yield yields maturity strike spot covariance
    correlation cost costs margin fare survived feature features dataset
    datum zeit preis preise kosten nachfrage prix date demande precio fecha demanda
    """
)
"""What was observed or is given."""

PREDICTION = _words(
    """
    prediction predictions predicted pred preds predict ŷ yhat hat y^ fit fitted model modelled modeled forecast
    forecasts estimate estimated estimates output outputs calculated computed softmax a2 a3 yp ypred
    vorhersage prognose modell prévision modèle pronóstico modelo previsione modello
    """
)
"""What is calculated, to be compared with data."""

TARGET = _words(
    """
    y target targets actual actuals observed observation observations measured measurement measurements label labels
    truth true desired expected real historical history onehot data yi yt
    ziel gemessen beobachtet mesuré observé observado real osservato misurato
    """
)
"""What predictions are compared with."""

OF_EACH = _words("volatility vol volatilities")
"""What is fitted where it is one number, and known where each of several things has its own."""

PRICE = _words("price premium discount fee preis prix precio")
"""What is chosen where a profit is to become large, and observed elsewhere."""

DECIDED = _words("growth deposit payment instalment installment saving savings contribution wage einzahlung rabatt")
"""What a person decides in a plan, besides parameters and prices."""

SETTING = _words(
    """
    learning lr eta step steps epsilon eps tolerance momentum decay epoch epochs iteration iterations seed count n
    size percent horizon confidence threshold mask switch penalty regularization regularisation lernrate
    """
)
"""What steers a calculation, and is no part of its result."""
